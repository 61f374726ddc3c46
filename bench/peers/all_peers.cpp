// SPDX-License-Identifier: Apache-2.0

#include "peers/all.hpp"

namespace bench {

Peers all_peers() {
  Peers peers = plain_peers();
  peers.push_back(&bare_eventfd_peer());
  peers.push_back(&posix_queue_peer());
  peers.push_back(&boost_queue_peer());
#ifdef PORTOLAN_BENCH_ZEROMQ
  peers.push_back(&zeromq_peer());
#endif
#ifdef PORTOLAN_BENCH_NNG
  peers.push_back(&nng_peer());
#endif
#ifdef PORTOLAN_BENCH_ICEORYX
  peers.push_back(&iceoryx_peer());
#endif
#ifdef PORTOLAN_BENCH_CAPNPROTO
  peers.push_back(&capnproto_peer());
#endif
#ifdef PORTOLAN_BENCH_SD_BUS
  peers.push_back(&sd_bus_peer());
#endif
  return peers;
}

}  // namespace bench
