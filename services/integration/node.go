package integration

import (
	"context"

	"github.com/skybridge-media/skybridge/actors/conference"
	"github.com/skybridge-media/skybridge/actors/node"
	"github.com/skybridge-media/skybridge/bus"
)

func (s *Service) listNodes(ctx context.Context, _ *bus.Nothing) (*bus.Nodes, error) {
	nodes, err := ask[*node.Nodes](ctx, s, s.Node, &node.GetNodes{})
	if err != nil {
		return nil, err
	}
	reply := &bus.Nodes{Nodes: make([]bus.Node, 0, len(nodes.Nodes))}
	for _, n := range nodes.Nodes {
		reply.Nodes = append(reply.Nodes, shown(n))
	}
	return reply, nil
}

func (s *Service) getNode(ctx context.Context, req *bus.OfNode) (*bus.Node, error) {
	n, err := s.node(ctx, req.Node)
	if err != nil {
		return nil, err
	}
	reply := shown(*n)
	return &reply, nil
}

func (s *Service) drain(on bool) func(context.Context, *bus.OfNode) (bus.Nothing, error) {
	return func(ctx context.Context, req *bus.OfNode) (bus.Nothing, error) {
		n, err := s.node(ctx, req.Node)
		if err != nil {
			return bus.Nothing{}, err
		}
		_, err = ask[*conference.Done](ctx, s, n.Node, &node.SetDrain{On: on})
		return bus.Nothing{}, err
	}
}

// node finds a node by name.
func (s *Service) node(ctx context.Context, name string) (*node.NodeInfo, error) {
	if name == "" {
		return nil, missing("node")
	}
	nodes, err := ask[*node.Nodes](ctx, s, s.Node, &node.GetNodes{})
	if err != nil {
		return nil, err
	}
	for _, n := range nodes.Nodes {
		if n.Name == name {
			return &n, nil
		}
	}
	return nil, errNoNode
}

func shown(n node.NodeInfo) bus.Node {
	return bus.Node{
		Node: n.Name, Address: n.Address, Roles: append([]string{}, n.Roles...), Draining: n.Draining,
		Calls: n.Calls, MaxCalls: n.MaxCalls, MaxHD: n.MaxHD, UsedHD: n.UsedHD,
		SIP: n.Contacts.SIP, SIPS: n.Contacts.SIPS, HTTPS: n.Contacts.HTTPS,
	}
}
