// SPDX-License-Identifier: Apache-2.0

// What the conformance tests share: turns of this thread's loop until there is nothing to handle, and a log.
#pragma once

#include <string>
#include <vector>

#include <portolan/portolan.hpp>

namespace portolan::testing {

using Log = std::vector<std::string>;

inline void deliver() {
  while (EventLoop::current().poll() != 0) {
  }
}

// Has `port` write the text of its messages, and how it ended, into `log`.
inline void log_events(MessagePort& port, Log& log, const std::string& name = "") {
  port.on_close([&log, name] { log.push_back(name + "close"); });
  port.on_message([&log, name](MessageEvent& event) { log.push_back(name + std::string(event.text())); });
}

}  // namespace portolan::testing
