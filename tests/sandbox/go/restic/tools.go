//go:build tools

// Package restic pins the version that the sandbox's image of restic has.
package restic

import _ "github.com/restic/restic/cmd/restic"
