package main

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"
	v1 "k8s.io/api/core/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/klog/v2"
	"k8s.io/kubernetes/pkg/controller/namespace/deletion"
)

// newNamespaceDeleter makes the command that empties and removes deleted namespaces. The
// deletion itself, its conditions included, is upstream's package. What differs from the
// controller manager's namespace controller is its patience: that one waits five seconds
// before it looks at a deleted namespace, for the sake of clusters with several API servers
// and etcd members, and at least one more second whenever something was left. This control
// plane has one of each, so waiting would only slow every test down.
func newNamespaceDeleter() *cobra.Command {
	var kubeconfig string
	var workers int
	command := &cobra.Command{
		Use:          "namespace-deleter",
		SilenceUsage: true,
		RunE: func(command *cobra.Command, _ []string) error {
			return deleteNamespaces(command.Context(), kubeconfig, workers)
		},
	}
	command.Flags().StringVar(&kubeconfig, "kubeconfig", "", "how to reach the API server")
	command.Flags().IntVar(&workers, "workers", 16, "namespaces worked on at once")
	return command
}

func deleteNamespaces(ctx context.Context, kubeconfig string, workers int) error {
	if ctx == nil {
		ctx = context.Background()
	}
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return err
	}
	config.QPS, config.Burst = 4000, 4000
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	metadataClient, err := metadata.NewForConfig(config)
	if err != nil {
		return err
	}

	// Fast at first, and never busy with a namespace that some finalizer keeps.
	queue := workqueue.NewTypedRateLimitingQueue(
		workqueue.NewTypedItemExponentialFailureRateLimiter[string](20*time.Millisecond, time.Second))
	defer queue.ShutDown()
	namespaces := informers.NewSharedInformerFactory(client, 0).Core().V1().Namespaces().Informer()
	enqueue := func(object any) {
		if namespace, ok := object.(*v1.Namespace); ok && namespace.DeletionTimestamp != nil {
			queue.Add(namespace.Name)
		}
	}
	if _, err := namespaces.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    enqueue,
		UpdateFunc: func(_, object any) { enqueue(object) },
	}); err != nil {
		return err
	}
	deleter := deletion.NewNamespacedResourcesDeleter(ctx, client.CoreV1().Namespaces(), metadataClient,
		client.CoreV1(), client.Discovery().ServerPreferredNamespacedResources, v1.FinalizerKubernetes)
	for range workers {
		go func() {
			for {
				name, shutdown := queue.Get()
				if shutdown {
					return
				}
				deleteNamespace(ctx, deleter, queue, name)
				queue.Done(name)
			}
		}()
	}
	namespaces.Run(ctx.Done())
	return nil
}

func deleteNamespace(ctx context.Context, deleter deletion.NamespacedResourcesDeleterInterface,
	queue workqueue.TypedRateLimitingInterface[string], name string) {
	err := deleter.Delete(ctx, name)
	if err == nil {
		queue.Forget(name)
		return
	}
	var remaining *deletion.ResourcesRemainingError
	if !errors.As(err, &remaining) {
		klog.ErrorS(err, "delete namespace", "namespace", name)
	}
	queue.AddRateLimited(name)
}
