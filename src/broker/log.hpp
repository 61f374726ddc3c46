// SPDX-License-Identifier: Apache-2.0

// What a broker says: lines of `event key=value ...`, and of each event only so many that nobody can fill a
// disk with them.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include <portolan/callback.hpp>
#include <portolan/log.hpp>

namespace portolan::broker {

class Log {
 public:
  using Sink = Callback<void(LogLevel, std::string_view)>;
  explicit Log(Sink sink) noexcept : sink_(std::move(sink)) {}

  /// `event` is a literal. Of more than 20 in 10 seconds only the number is told, with the next one after
  /// that.
  void say(LogLevel level, const char* event, const std::string& fields) noexcept;

 private:
  struct Event {
    std::int64_t window_began_ns = 0;
    std::uint32_t said = 0;
    std::uint64_t unsaid = 0;
  };

  Sink sink_;
  std::map<std::string_view, Event> events_;
};

}  // namespace portolan::broker
