// SPDX-License-Identifier: Apache-2.0

// A child that does one thing with a port while its parent looks at every instruction of it, and what must be
// true of the channel after its death, wherever that came.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <sys/types.h>
#include <vector>

#include <portolan/portolan.hpp>

#include "crash/diary.hpp"
#include "crash/ward.hpp"
#include "support/shared_page.hpp"

namespace portolan::testing {

// What the child says it has done, before it does the next thing.
struct Progress {
  std::atomic<std::uint64_t> posted{0};  // messages before this one
  std::atomic<std::uint64_t> seen{0};    // likewise received
  std::atomic<std::uint64_t> let_go{0};  // and let go of
  std::atomic<bool> given_away{false};   // that its second port was posted
};

struct Operation {
  const char* name;
  std::uint64_t posts_before = 0, receives_before = 0;
  void (*act)(Ports& ports, Progress& progress);
  bool from_adoption = false;  // the steps begin before it has adopted its ports
  bool from_recovery = false;  // it is the successor of an owner that was killed, and begins before it is
};

class SteppedPort {
 public:
  // Stands in for a kill: the child waits to be stepped, by its process and what its ports are made of.
  using Strike = std::function<void(pid_t child, std::vector<PortHandle>& handles)>;

  [[nodiscard]] static std::span<const Operation> operations();

  // One child, which is dead afterwards; fails the test case if anything is not as it should be.
  void run(const Operation& operation, const Strike& strike);

 private:
  class Scene {
   public:
    Scene(const Operation& operation, Progress& progress);
    void strike(const Strike& strike);
    void check();

   private:
    void replace_owner();
    void stand_still();

    // The narrowest channel: blocks of a page. A large message needs the first block, and its second
    // successor the next one.
    static ChannelOptions narrow() { return {.limit_bytes = 64 << 10}; }

    const Operation& operation_;
    Progress& progress_;
    MessageChannel data_{narrow()}, given_{narrow()}, brought_{narrow()};
    std::optional<Ward> ward_;
    PortHandle again_;
    std::optional<ChildProcess> successor_;
  };

  SharedPage<Progress> progress_;
};

}  // namespace portolan::testing
