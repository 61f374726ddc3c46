// SPDX-License-Identifier: Apache-2.0

// What the refused operations are done with, and looked at by.
#pragma once

#include <string_view>
#include <vector>

#include <portolan/portolan.hpp>

#include "support/condition.hpp"

namespace portolan::testing {

inline MessageChannel narrow() {
  return MessageChannel({.limit_bytes = 64 << 10, .label = "refused"});
}

inline bool says(MessagePort& port, std::string_view text) {
  Received received = port.receive_for(kPatience);
  return received && received->text() == text;
}

inline bool converse(MessagePort& one, MessagePort& other) {
  one.post_message("there");
  other.post_message("back");
  return says(other, "there") && says(one, "back");
}

// Several, as many as need a bundle.
struct Crowd {
  std::vector<MessagePort> here, there;
  explicit Crowd(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
      MessageChannel channel;
      here.push_back(std::move(channel.port1));
      there.push_back(std::move(channel.port2));
    }
  }
  bool all_converse(std::span<MessagePort> arrived) {
    for (std::size_t i = 0; i < here.size(); ++i)
      if (!converse(here[i], arrived[i])) return false;
    return arrived.size() == here.size();
  }
};

}  // namespace portolan::testing
