package control

import (
	"context"
	"net/http"
)

// delivery is what has to be done when the answer of a call does not reach the caller. A
// caller in HTTP/1 that sends on after its request is not seen to leave before that.
type delivery struct {
	failed func() // nil: nothing
}

type deliveryKey struct{}

// withDelivery lets the verb of r say what a lost answer asks for.
func withDelivery(r *http.Request, d *delivery) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), deliveryKey{}, d))
}

// ifLost has f called when the answer of the call of ctx can't be sent.
func ifLost(ctx context.Context, f func()) {
	if d, ok := ctx.Value(deliveryKey{}).(*delivery); ok {
		d.failed = f
	}
}

// check sends what was written, when it matters whether that can be done.
func (d *delivery) check(w *writer) {
	if d.failed != nil && w.control.Flush() != nil {
		d.failed()
	}
}
