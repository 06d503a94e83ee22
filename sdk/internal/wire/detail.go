package wire

import (
	"strings"

	pb "github.com/berth-dev/berth/proto/provider/v1"
	"github.com/berth-dev/berth/sdk/provider"
)

// The bounds of an error on the wire, in bytes and in links of the chain of causes. What
// is beyond them is cut; the class never is.
const (
	maxDetail  = 96 << 10 // all strings together
	maxLogTail = 64 << 10 // the end of it is kept
	maxText    = 16 << 10 // any other string: the beginning is kept
	maxCauses  = 32
)

// detailOf describes err with its causes.
func detailOf(err error) *pb.ErrorDetail {
	d := (&describer{left: maxDetail, links: maxCauses}).link(err)
	d.Class = classes.number(provider.ClassOf(err))
	if d.Class == pb.ErrorClass_ERROR_CLASS_UNSPECIFIED { // a class that is none of ours
		d.Class = pb.ErrorClass_ERROR_CLASS_INTERNAL
	}
	return d
}

type describer struct{ left, links int }

func (w *describer) link(err error) *pb.ErrorDetail {
	w.links--
	switch e := err.(type) {
	case *provider.Error:
		if e == nil {
			return &pb.ErrorDetail{Text: "no error"}
		}
		d := &pb.ErrorDetail{Class: classes.number(e.Class), Op: w.text(e.Op), Id: w.text(e.ID), Code: w.text(e.Code),
			Message: w.text(e.Message), LogTail: w.logTail(e.LogTail)}
		if e.Err != nil {
			d.Causes = w.causes(e.Err)
		}
		return d
	case provider.Class:
		return &pb.ErrorDetail{Class: classes.number(e), Text: w.text(e.Error())}
	}
	d := &pb.ErrorDetail{Text: w.text(err.Error())}
	if d.Text == "" {
		d.Text = "(no text)"
	}
	switch e := err.(type) {
	case interface{ Unwrap() error }:
		if cause := e.Unwrap(); cause != nil {
			d.Causes = w.causes(cause)
		}
	case interface{ Unwrap() []error }:
		d.Causes = w.causes(e.Unwrap()...)
	}
	return d
}

func (w *describer) causes(errs ...error) []*pb.ErrorDetail {
	var all []*pb.ErrorDetail
	for _, err := range errs {
		if w.links <= 0 {
			break
		}
		if err != nil {
			all = append(all, w.link(err))
		}
	}
	return all
}

func (w *describer) text(s string) string {
	s = utf8(s)
	if limit := min(maxText, w.left); len(s) > limit {
		s = utf8(s[:max(limit-len("…"), 0)]) + "…"
	}
	w.left = max(w.left-len(s), 0)
	return s
}

func (w *describer) logTail(s string) string {
	s = utf8(s)
	if limit := min(maxLogTail, w.left); len(s) > limit {
		s = "…" + utf8(s[len(s)-max(limit-2*len("…"), 0):])
	}
	w.left = max(w.left-len(s), 0)
	return s
}

// errorOf makes the error that d describes. Links beyond the bound are left out.
func errorOf(d *pb.ErrorDetail) error {
	links := maxCauses
	return link(d, &links)
}

func link(d *pb.ErrorDetail, links *int) error {
	*links--
	var causes []error
	for _, c := range d.GetCauses() {
		if *links <= 0 {
			break
		}
		causes = append(causes, link(c, links))
	}
	class := classes.name(d.GetClass())
	if d.GetText() != "" {
		if len(causes) == 0 && class != "" && d.GetText() == class.Error() {
			return class
		}
		return &remoteError{d.GetText(), causes}
	}
	e := &provider.Error{Class: class, Op: d.GetOp(), ID: d.GetId(), Code: d.GetCode(), Message: d.GetMessage(), LogTail: d.GetLogTail()}
	switch len(causes) {
	case 0:
	case 1:
		e.Err = causes[0]
	default:
		texts := make([]string, len(causes))
		for i, c := range causes {
			texts[i] = c.Error()
		}
		e.Err = &remoteError{strings.Join(texts, "\n"), causes}
	}
	return e
}

// remoteError stands for an error of the other side that was no provider.Error.
type remoteError struct {
	text   string
	causes []error
}

func (e *remoteError) Error() string { return e.text }

func (e *remoteError) Unwrap() []error { return e.causes }
