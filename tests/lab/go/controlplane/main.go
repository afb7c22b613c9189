// Command controlplane is etcd, kube-apiserver and kube-controller-manager in one
// binary: its first argument says which one to be. A fourth program, namespace-deleter,
// stands in for one of the controller manager's controllers, see namespaces.go.
package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
)

func main() {
	if len(os.Args) < 2 {
		fail("say which program to be: etcd, kube-apiserver, kube-controller-manager, namespace-deleter")
	}
	os.Args = os.Args[1:]
	commands := map[string]func() *cobra.Command{
		"kube-apiserver":          apiserver.NewAPIServerCommand,
		"kube-controller-manager": controllermanager.NewControllerManagerCommand,
		"namespace-deleter":       newNamespaceDeleter,
	}
	name := os.Args[0]
	if name == "etcd" {
		etcdmain.Main(os.Args)
		return
	}
	command, known := commands[name]
	if !known {
		fail(fmt.Sprintf("no program is called %q", name))
	}
	os.Exit(cli.Run(command()))
}

func fail(problem string) {
	fmt.Fprintln(os.Stderr, "controlplane:", problem)
	os.Exit(2)
}
