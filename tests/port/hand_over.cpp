// SPDX-License-Identifier: Apache-2.0

#include "port/hand_over.hpp"

#include <chrono>
#include <fcntl.h>
#include <span>
#include <sys/resource.h>
#include <unistd.h>

#include "support/condition.hpp"

namespace portolan::testing {

namespace {

std::uint64_t set_soft_limit(std::uint64_t wanted) {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  const std::uint64_t before = limit.rlim_cur;
  limit.rlim_cur = wanted == 0 ? limit.rlim_max : wanted;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  return before;
}

}  // namespace

ChildProcess fork_with(Ports ports, const std::function<int(Ports&)>& body) {
  std::vector<PortHandle> handles;
  for (MessagePort& port : ports) handles.push_back(std::move(port).release());
  return ChildProcess::fork([&] {
    Ports adopted;
    for (PortHandle& handle : handles) adopted.push_back(MessagePort::adopt(std::move(handle)));
    return body(adopted);
  });
}

bool runs_out() {
  const auto end = std::chrono::steady_clock::now() + kPatience;
  EventLoop::current().run_for(kPatience);
  return std::chrono::steady_clock::now() < end;
}

bool run_until(const std::function<bool()>& condition) {
  EventLoop& loop = EventLoop::current();
  bool late = false;
  const TimerId deadline = loop.set_timeout(kPatience, [&] { late = true; });
  while (!condition() && !late) loop.run_one();
  loop.clear(deadline);
  return condition();
}

std::span<const std::byte> pattern(std::size_t size_bytes, std::size_t seed) {
  constexpr std::size_t kPeriod = 8191;  // no power of two: a shift by a block or a page shows
  static std::vector<std::byte> stream;
  const std::size_t from = seed % kPeriod;
  if (stream.size() < from + size_bytes) {
    const std::size_t had = stream.size();
    stream.resize(from + size_bytes);
    for (std::size_t i = had; i < stream.size(); ++i)
      stream[i] = static_cast<std::byte>((i % kPeriod * 2654435761u) >> 13);
  }
  return std::span<const std::byte>(stream).subspan(from, size_bytes);
}

PortCensus::SleptOnce::SleptOnce() {
  thread_local const bool slept = [] {
    using namespace std::chrono_literals;
    MessageChannel quiet;
    static_cast<void>(quiet.port1.try_receive());
    // The first 10 ms of a sleep need no descriptor, and where the machine is busy they are all there is. A
    // thread that has slept deeply before opens none.
    const std::size_t before = Census::take().descriptors.size();
    for (int i = 0; i < 10 && Census::take().descriptors.size() == before; ++i)
      static_cast<void>(quiet.port1.receive_for(20ms));
    quiet.port1.on_close([](CloseEvent&) {});
    EventLoop::current().run_for(1ms);
    return true;
  }();
  static_cast<void>(slept);
}

ManyDescriptors::ManyDescriptors() : before_(set_soft_limit(0)) {}
ManyDescriptors::~ManyDescriptors() {
  set_soft_limit(before_);
}

FewDescriptors::FewDescriptors(std::size_t count) : before_(0) {
  // Fill the holes below the highest number in use, so that the limit alone decides.
  const FileDescriptor first(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  constexpr int kAbove = 512;
  for (;;) {
    FileDescriptor filler = first.duplicate();
    if (filler.get() >= kAbove) break;
    fillers_.push_back(std::move(filler));
  }
  before_ = set_soft_limit(static_cast<std::uint64_t>(kAbove) + count);
  // `first` goes now and makes one hole.
  fillers_.push_back(first.duplicate());
}

void FewDescriptors::lift() {
  if (before_ != 0) set_soft_limit(before_);
  before_ = 0;
  fillers_.clear();
}

}  // namespace portolan::testing
