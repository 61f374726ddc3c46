// SPDX-License-Identifier: Apache-2.0

#include "peers/all.hpp"

namespace bench {

Peers plain_peers() {
  return {&portolan_peer(), &bare_ring_peer(),   &bare_futex_peer(),
          &pipe_peer(),     &unix_stream_peer(), &unix_seqpacket_peer()};
}

}  // namespace bench
