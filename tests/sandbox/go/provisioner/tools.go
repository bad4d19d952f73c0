//go:build tools

// Package tools pins the volume provisioner. It is the one program that cannot share the other go.mod: it imports
// logrus under its old name github.com/Sirupsen/logrus, and Go refuses two import paths that differ only in case.
// Both files name the same versions of everything else, so that nothing is compiled twice.
package tools

import _ "github.com/rancher/local-path-provisioner"
