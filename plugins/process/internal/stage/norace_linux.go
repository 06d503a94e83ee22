//go:build !race

package stage

const raceSetting = ""
