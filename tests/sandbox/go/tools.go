//go:build tools

// Package tools pins the programs of the sandbox, so that one go.mod and one go.sum describe all of them.
package tools

import (
	_ "github.com/coredns/coredns"
	_ "github.com/versity/versitygw/cmd/versitygw"
	_ "k8s.io/kubernetes/cmd/kube-apiserver"
	_ "k8s.io/kubernetes/cmd/kube-controller-manager"
	_ "k8s.io/kubernetes/cmd/kube-proxy"
	_ "k8s.io/kubernetes/cmd/kube-scheduler"
	_ "k8s.io/kubernetes/cmd/kubelet"
	_ "k8s.io/kubernetes/cmd/kubectl"
)
