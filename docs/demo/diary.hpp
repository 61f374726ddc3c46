// SPDX-License-Identifier: Apache-2.0

// Who held which port when: every process notes it on a port of its own, and the driver draws it at the end.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <portolan/portolan.hpp>

namespace demo {

struct Note {
  std::int64_t time_ns = 0;  // CLOCK_MONOTONIC, the same for all processes
  int pid = 0;
  std::string process;  // "worker 1"
  std::string verb;     // made, got, gave, began, ended
  std::string port;     // "stream 1, sending end"
  std::string channel;  // the channel's id

  template <class Archive>
  void serialize(Archive& archive, unsigned) {
    archive& time_ns& pid& process& verb& port& channel;
  }
};

class Diary {
 public:
  Diary(portolan::MessagePort log, std::string process)
      : log_(std::move(log)), process_(std::move(process)) {}

  void note(std::string_view verb, std::string_view port = {}, std::string_view channel = {});
  void note(std::string_view verb, std::string_view port, const portolan::MessagePort& about) {
    note(verb, port, about.info().id);
  }

 private:
  portolan::MessagePort log_;
  std::string process_;
};

std::int64_t now_ns();

// A graph in the DOT language: one column a process, time downwards, an arrow for each port that was handed
// on.
std::string draw(std::vector<Note> notes);

}  // namespace demo
