// SPDX-License-Identifier: Apache-2.0

// How these tests get ports into other processes before there is a Worker: as two descriptors that a forked
// child inherits and adopts.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include <portolan/portolan.hpp>

#include "support/child_process.hpp"
#include "support/resource_census.hpp"

namespace portolan::testing {

using Ports = std::vector<MessagePort>;

template <class... Given>
[[nodiscard]] Ports ports_of(Given&&... given) {
  Ports ports;
  (ports.push_back(std::forward<Given>(given)), ...);
  return ports;
}

// Forks a child that owns `ports`, which this process owns no more. They are closed when `body` returns.
[[nodiscard]] ChildProcess fork_with(Ports ports, const std::function<int(Ports&)>& body);

// Runs the thread's loop until nothing can happen in it any more, or stop(). False if kPatience does not get
// it there.
[[nodiscard]] bool runs_out();

// Runs the thread's loop until `condition` holds, which is asked after each thing that it handled. False if
// that takes longer than kPatience.
[[nodiscard]] bool run_until(const std::function<bool()>& condition);

// Bytes that tell a place in them from every other: `size_bytes` of the same stream from `seed` on. Valid
// until the end.
[[nodiscard]] std::span<const std::byte> pattern(std::size_t size_bytes, std::size_t seed);

// A census that does not count what a thread keeps from its first sleep on: an epoll and an eventfd, for its
// loop and for receiving.
class PortCensus {
  struct SleptOnce {
    SleptOnce();
  };
  SleptOnce before_;
  ResourceCensus census_;
};

// Raises the soft limit of descriptors to the hard one, and back.
class ManyDescriptors {
 public:
  ManyDescriptors();
  ManyDescriptors(const ManyDescriptors&) = delete;
  ManyDescriptors& operator=(const ManyDescriptors&) = delete;
  ~ManyDescriptors();

 private:
  std::uint64_t before_;
};

// Lowers the soft limit so that exactly `count` more descriptors can be opened, and back.
class FewDescriptors {
 public:
  explicit FewDescriptors(std::size_t count);
  FewDescriptors(const FewDescriptors&) = delete;
  FewDescriptors& operator=(const FewDescriptors&) = delete;
  ~FewDescriptors() { lift(); }
  void lift();

 private:
  std::uint64_t before_;
  std::vector<FileDescriptor> fillers_;
};

}  // namespace portolan::testing
