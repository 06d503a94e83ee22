package convert

import (
	"fmt"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// UnmarshalBinary reads a message as protobuf has it. Its errors name the field where
// they can. Fields that m does not have are kept in it.
func UnmarshalBinary(data []byte, m proto.Message) error {
	err := proto.Unmarshal(data, m)
	if err == nil {
		return nil
	}
	d := m.ProtoReflect().Descriptor()
	if field := badText(data, d); field != nil {
		return notUTF8(field)
	}
	return fmt.Errorf("the body is no %s: %s", d.Name(), tidy(err))
}

// badText is the first field of a message whose text is not UTF-8, or nil. It looks into
// maps; other messages in a request have no text.
func badText(data []byte, d protoreflect.MessageDescriptor) protoreflect.FieldDescriptor {
	for len(data) > 0 {
		number, typ, n := protowire.ConsumeTag(data)
		if n < 0 {
			return nil
		}
		data = data[n:]
		size := protowire.ConsumeFieldValue(number, typ, data)
		if size < 0 {
			return nil
		}
		field := d.Fields().ByNumber(number)
		if field != nil && typ == protowire.BytesType {
			value, _ := protowire.ConsumeBytes(data)
			text := field.Kind() == protoreflect.StringKind && !utf8.Valid(value)
			if text || field.IsMap() && badText(value, field.Message()) != nil {
				return field
			}
		}
		data = data[size:]
	}
	return nil
}
