// SPDX-License-Identifier: Apache-2.0

// Channels to processes of their own, on which threads of this one post, receive and move ports without a
// pause: there is hardly a moment when none of them holds a lock of the library or of malloc's.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include <portolan/portolan.hpp>

#include "support/child_process.hpp"

namespace portolan::testing {

class BusyChannels {
 public:
  static constexpr std::size_t kChannels = 3;

  // Sets what malloc does in this process from now on: all threads take their memory from one arena.
  BusyChannels();
  BusyChannels(const BusyChannels&) = delete;
  BusyChannels& operator=(const BusyChannels&) = delete;
  ~BusyChannels();

  MessagePort& port(std::size_t index) { return lines_[index].port; }
  std::uint64_t answered() const;
  // Says what was not as it should be: a message lost, doubled or out of its turn, or an exception. Null:
  // nothing.
  const char* fault() const { return fault_; }
  // No thread works any more, and every message has been answered.
  void come_to_rest();
  // Closes the ports. True: each peer has seen that, and nothing wrong before.
  bool close_and_see_peers_end();

 private:
  struct Line {
    MessagePort port;
    std::optional<ChildProcess> peer;
    std::mutex mutex;
    std::deque<MessagePort> kept;  // of each port that was moved to the peer, the other end
    std::atomic<std::uint64_t> posted{0};
    std::atomic<std::uint64_t> answered{0};
    std::atomic<bool> complete{false};  // nothing is posted any more
  };

  void post_on(Line& line);
  void receive_on(Line& line);
  void use_malloc() const;
  void expect(bool holds, const char* what) {
    if (!holds) fault_ = what;
  }
  template <class F>
  void start(F work);

  std::array<Line, kChannels> lines_;
  std::atomic<bool> stop_{false};
  std::atomic<const char*> fault_{nullptr};
  std::vector<std::thread> threads_;
};

}  // namespace portolan::testing
