package control

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"

	"github.com/berth-dev/berth/host/internal/api"
)

var (
	grpcTimeout    = regexp.MustCompile(`^[0-9]{1,8}[HMSmun]$`) // gRPC over HTTP/2, Requests
	connectTimeout = regexp.MustCompile(`^[0-9]{1,10}$`)        // the Connect protocol, Timeout
)

// checkHeaders refuses what Connect would refuse by itself, and without our detail: an
// encoding, a time limit or a version of the protocol that it can't read. kind is the
// content type.
func checkHeaders(op, kind string, h http.Header) error {
	encoding, timeout, form, example := "Content-Encoding", "Connect-Timeout-Ms", connectTimeout, "milliseconds, in at most 10 digits"
	switch {
	case strings.HasPrefix(kind, "application/grpc"):
		encoding, timeout, form, example = "Grpc-Encoding", "Grpc-Timeout", grpcTimeout, "at most 8 digits and one of H, M, S, m, u, n"
	case strings.HasPrefix(kind, "application/connect"):
		encoding = "Connect-Content-Encoding"
	}
	refuse := func(code api.Code, name, words string) error {
		return &api.Error{Code: code, Op: op, Message: fmt.Sprintf("%s: %q %s", name, clip(h.Get(name)), words)}
	}
	if e := h.Get(encoding); e != "" && e != "identity" && e != "gzip" {
		return refuse(api.CodeUnsupported, encoding, "is not known here; send gzip, or nothing")
	}
	if t := h.Get(timeout); t != "" && !form.MatchString(t) {
		return refuse(api.CodeInvalidArgument, timeout, "is no time limit; give "+example)
	}
	const version = "Connect-Protocol-Version"
	if v := h.Get(version); v != "" && v != "1" && form == connectTimeout {
		return refuse(api.CodeInvalidArgument, version, "is not spoken here; give 1, or leave it out")
	}
	return nil
}
