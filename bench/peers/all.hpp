// SPDX-License-Identifier: Apache-2.0

// The peers, each a file of its own, and the lists that the questions go through.
#pragma once

#include "peers/peer.hpp"

namespace bench {

const Peer& portolan_peer();
const Peer& bare_ring_peer();     // a limit
const Peer& bare_futex_peer();    // a limit
const Peer& bare_eventfd_peer();  // a limit
const Peer& pipe_peer();
const Peer& unix_stream_peer();
const Peer& unix_seqpacket_peer();
const Peer& posix_queue_peer();
const Peer& boost_queue_peer();
const Peer& zeromq_peer();
const Peer& nng_peer();
const Peer& iceoryx_peer();
const Peer& capnproto_peer();
const Peer& sd_bus_peer();

// What the library's own demo measures: no more than the system calls that every machine has.
Peers plain_peers();
// With each library that Meson found.
Peers all_peers();

}  // namespace bench
