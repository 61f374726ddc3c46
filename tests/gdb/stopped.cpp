// SPDX-License-Identifier: Apache-2.0

// Ports in every state, for a debugger that looks at them.
#include <utility>

#include <portolan/portolan.hpp>

extern "C" [[gnu::noinline]] void stop_here(portolan::MessageChannel& channel,
                                            portolan::MessagePort& half_closed, portolan::MessagePort& closed,
                                            portolan::MessagePort& unused, portolan::MessagePort& detached) {
  asm volatile(""
               :
               : "r"(&channel), "r"(&half_closed), "r"(&closed), "r"(&unused), "r"(&detached)
               : "memory");
}

int main() {
  portolan::MessageChannel channel({.label = "ledger"}), ended, fresh, moved;
  for (int i = 0; i < 3; ++i) channel.port1.post_message("to be read");
  channel.port2.post_message("back");
  if (!channel.port2.receive()) return 1;
  ended.port1.post_message("the last");
  ended.port2.post_message("the last");
  ended.port2.close();
  const portolan::PortHandle handle = std::move(moved.port1).release();
  stop_here(channel, ended.port1, ended.port2, fresh.port1, moved.port1);
}
