// Package rules holds the shape of the house: which package may import which, that every
// dependency has its reason, and that the top level stays as it is. It has tests alone.
package rules
