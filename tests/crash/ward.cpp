// SPDX-License-Identifier: Apache-2.0

#include "crash/ward.hpp"

#include <fstream>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <utility>

namespace portolan::testing {

namespace {

FileDescriptor pidfd_of(pid_t pid) {
  return FileDescriptor(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
}

// Released here, duplicated here: the child inherits what it is to adopt.
std::vector<PortHandle> release_all(Ports& ports) {
  std::vector<PortHandle> handles;
  for (MessagePort& port : ports) handles.push_back(std::move(port).release());
  return handles;
}

void set_address_space_limit(std::uint64_t bytes) {
  rlimit limit{};
  ::getrlimit(RLIMIT_AS, &limit);
  limit.rlim_cur = bytes;
  PORTOLAN_CHILD_REQUIRE(::setrlimit(RLIMIT_AS, &limit) == 0);
}

}  // namespace

PortHandle duplicate(PortHandle& handle) {
  return {handle.segment().duplicate(), handle.socket().duplicate(), handle.generation(),
          handle.second_side()};
}

FileDescriptor pidfd_of_the_dead() {
  ChildProcess child = ChildProcess::fork([] {
    ::pause();
    return 0;
  });
  FileDescriptor pidfd = pidfd_of(child.pid());
  child.kill_and_reap();
  return pidfd;
}

Ward::Ward(Ports ports, const std::function<int(Ports&)>& body, const std::function<void()>& begin)
    : custody_(release_all(ports)),
      process_(ChildProcess::fork([&] {
        begin();
        Ports adopted;
        // Its own duplicates go: it holds each port once, as any owner does.
        for (PortHandle& handle : custody_) adopted.push_back(MessagePort::adopt(std::move(handle)));
        return body(adopted);
      })),
      pidfd_(pidfd_of(process_.pid())) {}

MessagePort Ward::recover(std::size_t index) {
  process_.kill_and_reap();
  return MessagePort::recover(std::move(custody_[index]), pidfd_);
}

void limit_address_space(std::uint64_t more_bytes) {
  std::uint64_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages;
  set_address_space_limit(pages * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE)) + more_bytes);
}

void lift_address_space_limit() {
  set_address_space_limit(RLIM_INFINITY);
}

std::vector<CloseReason> close_reasons(MessagePort& port) {
  std::vector<CloseReason> reasons;
  port.on_close([&](CloseEvent& event) { reasons.push_back(event.reason()); });
  EventLoop::current().run();
  EventLoop::current().poll();
  return reasons;
}

}  // namespace portolan::testing
