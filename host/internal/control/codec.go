package control

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/berth-dev/berth/host/internal/control/convert"
)

// codec reads requests and writes answers. A request that can't be read is an error of
// the host's like every other, with a detail. Connect answers a codec's error by itself
// and without one, so the codec notes the error in the message, and the interceptor takes
// it out.
type codec struct{ name string }

// Name is the name that content types have.
func (c codec) Name() string { return c.name }

// Marshal writes an answer.
func (c codec) Marshal(message any) ([]byte, error) {
	if c.name != "proto" {
		return convert.JSON{}.Marshal(message)
	}
	m, ok := message.(proto.Message)
	if !ok {
		return nil, fmt.Errorf("%T is no message", message)
	}
	return proto.Marshal(m)
}

// Unmarshal reads a request, or notes in it why it can't be read.
func (c codec) Unmarshal(data []byte, message any) error {
	m, ok := message.(proto.Message)
	if !ok {
		return fmt.Errorf("%T is no message", message)
	}
	var err error
	if c.name != "proto" {
		err = convert.Unmarshal(data, m)
	} else {
		err = unmarshalProto(data, m)
	}
	if err != nil {
		note(m, err)
	}
	return nil
}

// unmarshalProto refuses fields that the host does not know, as the JSON does: a caller
// who asks for what this host can't do has to hear that.
func unmarshalProto(data []byte, m proto.Message) error {
	if err := convert.UnmarshalBinary(data, m); err != nil {
		return err
	}
	if number, in := unknownField(m.ProtoReflect()); in != "" {
		return fmt.Errorf("field %d: is no field of %s; the caller is newer than this host: leave it out, or update the host", number, in)
	}
	return nil
}

// unknownField is the number of one that is in m or in a message in it, and the name of
// that message; "" when there is none.
func unknownField(m protoreflect.Message) (number protowire.Number, in protoreflect.Name) {
	if b := m.GetUnknown(); len(b) > 0 {
		number, _, _ := protowire.ConsumeTag(b)
		return number, m.Descriptor().Name()
	}
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		if f.Message() != nil && !f.IsList() && !f.IsMap() {
			number, in = unknownField(v.Message())
		}
		return in == ""
	})
	return number, in
}

// noteField is where a note is. No message has it.
const noteField = protowire.MaxValidNumber

// note makes m an empty message with a note.
func note(m proto.Message, err error) {
	proto.Reset(m)
	m.ProtoReflect().SetUnknown(protowire.AppendString(protowire.AppendTag(nil, noteField, protowire.BytesType), err.Error()))
}

// noted is the error that was noted in a request, or nil.
func noted(message any) error {
	m, ok := message.(proto.Message)
	if !ok {
		return nil
	}
	b := m.ProtoReflect().GetUnknown()
	number, _, n := protowire.ConsumeTag(b)
	if n < 0 || number != noteField {
		return nil
	}
	words, _ := protowire.ConsumeString(b[n:])
	return errors.New(words)
}
