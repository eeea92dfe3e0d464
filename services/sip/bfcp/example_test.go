package bfcp_test

import (
	"fmt"
	"net"

	"github.com/skybridge-media/skybridge/media/sdp"
	"github.com/skybridge-media/skybridge/services/sip/bfcp"
)

// A call whose SDP has agreed on a floor over UDP: agreed is what sdp.Answer
// gave. The other end is a room system, here an endpoint of our own.
func Example() {
	socket, err := net.ListenPacket("udp4", "127.0.0.1:0") // its port went into sdp.Local.Floor
	if err != nil {
		panic(err)
	}
	roomSocket, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	names := sdp.FloorID{Conference: 4321, User: 2, Floor: 1}
	agreed := &sdp.Agreement{Floor: &sdp.Floor{
		Proto: "UDP/BFCP", Role: sdp.FloorServer, Server: names, Address: roomSocket.LocalAddr().(*net.UDPAddr).AddrPort(),
	}}

	requests := make(chan bfcp.Requested, 1)
	call, err := bfcp.Datagrams(socket, bfcp.Config{Floor: *agreed.Floor, Notify: func(event any) {
		switch event := event.(type) {
		case bfcp.Requested: // ask the conference
			requests <- event
		case bfcp.Withdrawn: // the floor is free
		case bfcp.Lost: // nothing is undone
		}
	}})
	if err != nil {
		panic(err)
	}
	defer call.Close()

	events := make(chan any, 10)
	room, err := bfcp.Datagrams(roomSocket, bfcp.Config{
		Floor:  sdp.Floor{Role: sdp.FloorClient, Client: names, Address: socket.LocalAddr().(*net.UDPAddr).AddrPort()},
		Notify: func(event any) { events <- event },
	})
	if err != nil {
		panic(err)
	}
	defer room.Close()

	room.Request("")
	call.Grant((<-requests).ID)
	for event := range events {
		if d, ok := event.(bfcp.Decided); ok && d.Status == bfcp.Granted {
			fmt.Println(d.Status)
			break
		}
	}
	call.SetPresenter(&bfcp.Presenter{Name: "Alice"}) // a browser shares its screen
	for event := range events {
		if d, ok := event.(bfcp.Decided); ok {
			fmt.Println(d.Status, "by", d.Info)
			break
		}
	}
	// Output:
	// granted
	// revoked by Alice
}
