package wire

import (
	"fmt"

	pb "github.com/berth-dev/berth/proto/provider/v1"
	"github.com/berth-dev/berth/sdk/provider"
)

func schemasToProto(s provider.Schemas) *pb.GetSchemaResponse {
	return &pb.GetSchemaResponse{Provider: schemaToProto(s.Provider), Sandbox: schemaToProto(s.Sandbox)}
}

func schemasFromProto(m *pb.GetSchemaResponse) (s provider.Schemas, err error) {
	if s.Provider, err = schemaFromProto(m.GetProvider()); err != nil {
		return provider.Schemas{}, err
	}
	if s.Sandbox, err = schemaFromProto(m.GetSandbox()); err != nil {
		return provider.Schemas{}, err
	}
	return s, nil
}

func schemaToProto(s provider.Schema) *pb.Schema {
	return &pb.Schema{Doc: s.Doc, Attributes: each(s.Attributes, attributeToProto), Blocks: each(s.Blocks, blockToProto)}
}

func schemaFromProto(m *pb.Schema) (s provider.Schema, err error) {
	s.Doc = m.GetDoc()
	if s.Attributes, err = eachErr(m.GetAttributes(), attributeFromProto); err != nil {
		return provider.Schema{}, err
	}
	if s.Blocks, err = eachErr(m.GetBlocks(), blockFromProto); err != nil {
		return provider.Schema{}, err
	}
	return s, nil
}

func blockToProto(b provider.Block) *pb.Block {
	return &pb.Block{Name: b.Name, Doc: b.Doc, Repeated: b.Repeated, Required: b.Required, Schema: schemaToProto(b.Schema)}
}

func blockFromProto(m *pb.Block) (provider.Block, error) {
	s, err := schemaFromProto(m.GetSchema())
	if err != nil {
		return provider.Block{}, fmt.Errorf("block %q: %w", m.GetName(), err)
	}
	return provider.Block{Name: m.GetName(), Doc: m.GetDoc(), Repeated: m.GetRepeated(), Required: m.GetRequired(), Schema: s}, nil
}

func attributeToProto(a provider.Attribute) *pb.Attribute {
	return &pb.Attribute{Name: a.Name, Type: types.number(a.Type), Doc: a.Doc, Required: a.Required, Sensitive: a.Sensitive,
		Default: a.Default, OneOf: a.OneOf, Min: a.Min, Max: a.Max, Pattern: a.Pattern}
}

// attributeFromProto refuses a type that it does not know: its values could not be checked.
func attributeFromProto(m *pb.Attribute) (provider.Attribute, error) {
	if !types.known(m.GetType()) {
		return provider.Attribute{}, fmt.Errorf("attribute %q has the type %s, which this host does not know", m.GetName(), m.GetType())
	}
	return provider.Attribute{Name: m.GetName(), Type: types.name(m.GetType()), Doc: m.GetDoc(), Required: m.GetRequired(),
		Sensitive: m.GetSensitive(), Default: m.GetDefault(), OneOf: m.GetOneOf(), Min: m.Min, Max: m.Max, Pattern: m.GetPattern()}, nil
}
