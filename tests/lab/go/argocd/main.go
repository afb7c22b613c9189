// Command argocd is Argo CD's application controller, ApplicationSet controller and repo server in one binary: its
// first argument says which one to be. Upstream's own also holds the API server, its command line and five programs
// more, whose packages take a quarter of the time to compile.
package main

import (
	"fmt"
	"os"

	application "github.com/argoproj/argo-cd/v3/cmd/argocd-application-controller/commands"
	sets "github.com/argoproj/argo-cd/v3/cmd/argocd-applicationset-controller/commands"
	repositories "github.com/argoproj/argo-cd/v3/cmd/argocd-repo-server/commands"
	"github.com/argoproj/argo-cd/v3/util/log"
	"github.com/spf13/cobra"
	"k8s.io/klog/v2"
)

func main() {
	if len(os.Args) < 2 {
		fail("say which program to be: argocd-application-controller, argocd-applicationset-controller, argocd-repo-server")
	}
	os.Args = os.Args[1:]
	commands := map[string]func() *cobra.Command{
		"argocd-application-controller":    application.NewCommand,
		"argocd-applicationset-controller": sets.NewCommand,
		"argocd-repo-server":               repositories.NewCommand,
	}
	command, known := commands[os.Args[0]]
	if !known {
		fail(fmt.Sprintf("no program is called %q", os.Args[0]))
	}
	klog.SetLogger(log.NewLogrusLogger(log.NewWithCurrentConfig()))
	if command().Execute() != nil {
		os.Exit(1)
	}
}

func fail(problem string) {
	fmt.Fprintln(os.Stderr, "argocd:", problem)
	os.Exit(2)
}
