// SPDX-License-Identifier: Apache-2.0

// What the machine takes for the parts that everybody's messages are made of: copies, pages, system calls.

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <functional>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <memory>
#include <stdexcept>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <vector>

#include "cache_line.hpp"
#include "cpu.hpp"
#include "questions.hpp"

namespace bench {

namespace {

double nanoseconds_each(int count, const std::function<void()>& act) {
  pin_to(0);
  act();
  const std::int64_t began_ns = now_ns();
  for (int i = 0; i < count; ++i) act();
  return static_cast<double>(now_ns() - began_ns) / count;
}

void must(bool well, const char* call) {
  if (!well) throw std::runtime_error(fmt::format("{} failed: {}", call, std::strerror(errno)));
}

double copy_rate(std::size_t bytes) {
  constexpr std::size_t kTotalBytes = std::size_t{256} << 20;
  // Both at the same place in a page: beside each other memcpy may be slow
  // (docs/decisions/copy-backwards.md).
  constexpr std::size_t kPageBytes = 4096;
  const auto free_memory = [](void* memory) { std::free(memory); };
  const std::unique_ptr<void, decltype(free_memory)> from(std::aligned_alloc(kPageBytes, bytes), free_memory);
  const std::unique_ptr<void, decltype(free_memory)> to(std::aligned_alloc(kPageBytes, bytes), free_memory);
  must(from != nullptr && to != nullptr, "aligned_alloc");
  std::memset(from.get(), 1, bytes);
  std::memset(to.get(), 1, bytes);
  const double each_ns = nanoseconds_each(static_cast<int>(kTotalBytes / bytes), [&] {
    std::memcpy(to.get(), from.get(), bytes);
    asm volatile("" : : "r"(to.get()) : "memory");
  });
  return static_cast<double>(bytes) / each_ns * 1e9;
}

constexpr std::size_t kPage = 4096, kPages = 4096;

struct Pages {
  double fresh_ns, mapped_again_ns, unmap_ns;
};

char* map_file(int file) {
  void* const memory = mmap(nullptr, kPages * kPage, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  must(memory != MAP_FAILED, "mmap");
  return static_cast<char*>(memory);
}

double touch_ns(char* memory) {
  const std::int64_t began_ns = now_ns();
  for (std::size_t page = 0; page < kPages; ++page) static_cast<volatile char*>(memory)[page * kPage] = 1;
  return static_cast<double>(now_ns() - began_ns) / kPages;
}

Pages page_costs() {
  pin_to(0);
  const int file = memfd_create("bench", MFD_CLOEXEC);
  must(file >= 0 && ftruncate(file, kPages * kPage) == 0, "memfd_create");
  Pages costs{};
  char* const first = map_file(file);
  costs.fresh_ns = touch_ns(first);
  char* const second = map_file(file);
  costs.mapped_again_ns = touch_ns(second);
  const std::int64_t began_ns = now_ns();
  munmap(second, kPages * kPage);
  costs.unmap_ns = static_cast<double>(now_ns() - began_ns) / kPages;
  munmap(first, kPages * kPage);
  close(file);
  return costs;
}

void pass_descriptor(const std::array<int, 2>& ends, int passed) {
  char byte = 0;
  iovec part{&byte, 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof passed)]{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  cmsghdr* const header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof passed);
  std::memcpy(CMSG_DATA(header), &passed, sizeof passed);
  must(sendmsg(ends[0], &message, 0) == 1 && recvmsg(ends[1], &message, MSG_CMSG_CLOEXEC) == 1, "sendmsg");
  int taken = -1;
  std::memcpy(&taken, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof taken);
  close(taken);
}

void make_channel_memory() {
  const int file = memfd_create("bench", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  must(file >= 0 && ftruncate(file, 1 << 20) == 0 &&
           fcntl(file, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0,
       "memfd_create");
  void* const memory = mmap(nullptr, 1 << 20, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  must(memory != MAP_FAILED, "mmap");
  *static_cast<volatile char*>(memory) = 1;
  munmap(memory, 1 << 20);
  close(file);
}

void measure_calls(Report& report) {
  constexpr int kMany = 20'000, kSome = 2'000;
  report.section("Limits: bare system calls, within one process");
  std::array<int, 2> ends{};
  must(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) == 0, "socketpair");
  const int bell = eventfd(0, EFD_CLOEXEC);
  const auto row = [&](const char* what, int count, const std::function<void()>& act) {
    report.row(what, "ns", [&] { return nanoseconds_each(count, act); });
  };
  row("getppid", kMany, [] { syscall(SYS_getppid); });
  row("futex wake of nobody", kMany,
      [word = 0]() mutable { syscall(SYS_futex, &word, FUTEX_WAKE, 1, nullptr, nullptr, 0); });
  row("eventfd, write and read", kMany, [&] {
    eventfd_t rings = 0;
    must(eventfd_write(bell, 1) == 0 && eventfd_read(bell, &rings) == 0, "eventfd");
  });
  row("socket, send and receive of a byte", kMany, [&] {
    char byte = 0;
    must(send(ends[0], &byte, 1, 0) == 1 && recv(ends[1], &byte, 1, 0) == 1, "send");
  });
  row("socket, send and receive of a descriptor, and its close", kMany, [&] { pass_descriptor(ends, bell); });
  row("socketpair and its two closes", kSome, [] {
    std::array<int, 2> pair{};
    must(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair.data()) == 0, "socketpair");
    close(pair[0]);
    close(pair[1]);
  });
  row("memory file of a channel: made, sealed, mapped, a page touched, closed", kSome, make_channel_memory);
  syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED, 0, 0);
  row("membarrier, nobody else running", kSome,
      [] { syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL_EXPEDITED, 0, 0); });
  for (const int descriptor : {ends[0], ends[1], bell}) close(descriptor);
}

}  // namespace

void measure_machine(Report& report, const Plan& plan) {
  report.section("Limits: memory");
  report.row("round trip of a cache line between CPU 0 and CPU 1", "ns",
             [] { return static_cast<double>(cache_line_round_trip_ns()); });
  const std::vector<std::size_t> all{64, 1 << 10, 64 << 10, 1 << 20, 64 << 20};
  for (const std::size_t bytes : plan.full ? all : std::vector<std::size_t>{64 << 10, 64 << 20})
    report.row(fmt::format("memcpy of {} B", bytes), "B/s", [&] { return copy_rate(bytes); });
  report.parts("a page of a memory file", {}, {"first touch", "touch of another mapping", "unmapping"}, "ns",
               [] {
                 const Pages costs = page_costs();
                 return Parts{costs.fresh_ns, costs.mapped_again_ns, costs.unmap_ns};
               });
  measure_calls(report);
}

}  // namespace bench
