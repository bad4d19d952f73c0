//go:build tools

// Package tools pins kwok, which plays many nodes for the benchmarks. It has a go.mod of its own because it does not
// compile against the Kubernetes libraries of the other programs: they lack a name that it uses.
package tools

import _ "sigs.k8s.io/kwok/cmd/kwok"
