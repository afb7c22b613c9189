// Command node is kube-scheduler, kubelet, kube-proxy and kubectl in one binary: its first argument says
// which one to be.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	kubectl "k8s.io/kubectl/pkg/cmd"
	proxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
)

func main() {
	if len(os.Args) < 2 {
		fail("say which program to be: kube-scheduler, kubelet, kube-proxy, kubectl")
	}
	os.Args = os.Args[1:]
	commands := map[string]func() *cobra.Command{
		"kube-proxy":     proxy.NewProxyCommand,
		"kube-scheduler": func() *cobra.Command { return scheduler.NewSchedulerCommand() },
		"kubectl":        kubectl.NewDefaultKubectlCommand,
		"kubelet":        func() *cobra.Command { return kubelet.NewKubeletCommand(context.Background()) },
	}
	command, known := commands[os.Args[0]]
	if !known {
		fail(fmt.Sprintf("no program is called %q", os.Args[0]))
	}
	os.Exit(cli.Run(command()))
}

func fail(problem string) {
	fmt.Fprintln(os.Stderr, "node:", problem)
	os.Exit(2)
}
