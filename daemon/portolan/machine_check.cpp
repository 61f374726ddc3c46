// SPDX-License-Identifier: Apache-2.0

#include "machine_check.hpp"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <fmt/core.h>
#include <linux/membarrier.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <portolan/file_descriptor.hpp>

#include "inspect/process_table.hpp"

#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449  // Linux 5.16, and newer than some headers
#endif

namespace command {
namespace {

using portolan::FileDescriptor;
using portolan::inspect::field_of;
using portolan::inspect::read_text;

std::string first_line(const std::string& path) {
  const std::string text = read_text(path);
  return text.substr(0, text.find('\n'));
}

std::string reason() {
  return std::strerror(errno);
}

MachineCheck kernel() {
  utsname system{};
  ::uname(&system);
  int major = 0, minor = 0;
  if (std::sscanf(system.release, "%d.%d", &major, &minor) != 2) major = 0;
  const int version = major * 1000 + minor;
  MachineCheck check{"kernel", Verdict::good, system.release, {}, {}};
  if (version < 5003) {
    check = {check.name, Verdict::broken, check.found, "pidfds are missing", "run Linux 5.3 or newer"};
  } else if (version < 5016) {
    check.verdict = Verdict::costs;
    check.cost = "close() interrupts a light sleep within 2 ms, not at once";
    check.cure = "run Linux 5.16 or newer";
  }
  return check;
}

MachineCheck memory_files() {
  const std::string name = "memory files";
  const FileDescriptor file(::memfd_create("portolan-doctor", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!file)
    return {name, Verdict::broken, "memfd_create: " + reason(), "no channel can be made",
            "allow memfd_create in the container's seccomp profile"};
  const bool sealed = ::ftruncate(file.get(), 1 << 20) == 0 &&
                      ::fcntl(file.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0;
  if (!sealed)
    return {name, Verdict::broken, "sealing: " + reason(), "no channel can be made",
            "run a kernel with memfd seals"};
  if (::fallocate(file.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096) != 0)
    return {name, Verdict::costs, "holes: " + reason(), "memory that was used once is not given back",
            "allow fallocate in the container's seccomp profile"};
  return {name, Verdict::good, "made, sealed, punched", {}, {}};
}

MachineCheck sockets() {
  int pair[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
    return {"socket pairs", Verdict::broken, "socketpair: " + reason(), "no channel can be made",
            "allow AF_UNIX sockets of SOCK_SEQPACKET in the container's seccomp profile"};
  const FileDescriptor one(pair[0]), two(pair[1]);
  // The kernel charges 768 bytes for a small packet, and a quarter of the queue stays free for doorbells.
  int bytes = 0;
  socklen_t length = sizeof bytes;
  ::getsockopt(one.get(), SOL_SOCKET, SO_SNDBUF, &bytes, &length);
  return {"socket pairs",
          Verdict::good,
          fmt::format("room for {} unread messages with ports", bytes / 4 * 3 / 768),
          {},
          {}};
}

MachineCheck barriers() {
  const long answer = ::syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0);
  const bool there = answer >= 0 && (answer & MEMBARRIER_CMD_GLOBAL_EXPEDITED) != 0;
  if (there) return {"membarrier", Verdict::good, "global expedited", {}, {}};
  return {"membarrier", Verdict::costs, answer < 0 ? reason() : "not expedited",
          "each message costs its writer a fence, and sleepers wake every 10 ms",
          "allow membarrier in the container's seccomp profile; needs Linux 4.16"};
}

MachineCheck futexes() {
  // No waiters: the call itself complains, if it is there.
  const long answer = ::syscall(SYS_futex_waitv, nullptr, 0, 0, nullptr, 0);
  if (answer >= 0 || errno == EINVAL) return {"futex_waitv", Verdict::good, "there", {}, {}};
  return {"futex_waitv", Verdict::costs, reason(),
          "close() and stop interrupt a light sleep within 2 ms, not at once",
          "run Linux 5.16 or newer, or allow futex_waitv in the container's seccomp profile"};
}

MachineCheck process_descriptors() {
  const FileDescriptor self(static_cast<int>(::syscall(SYS_pidfd_open, ::getpid(), 0)));
  if (self) return {"pidfd_open", Verdict::good, "there", {}, {}};
  return {"pidfd_open", Verdict::broken, reason(), "workers and the recovery of ports do not work",
          "run Linux 5.3 or newer, or allow pidfd_open in the container's seccomp profile"};
}

MachineCheck descriptors() {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  MachineCheck check{"descriptors",
                     Verdict::good,
                     fmt::format("{} of {} allowed; a port takes 2", limit.rlim_cur, limit.rlim_max),
                     {},
                     {}};
  constexpr rlim_t kFew = 64, kPlenty = 4096;
  if (limit.rlim_cur < kPlenty) {
    check.verdict = limit.rlim_cur < kFew ? Verdict::broken : Verdict::costs;
    check.cost = fmt::format("some {} ports a process, and no more", limit.rlim_cur / 2);
    check.cure = limit.rlim_max > limit.rlim_cur
                     ? fmt::format("ulimit -n {}", limit.rlim_max)
                     : "LimitNOFILE= in the unit, --ulimit nofile= of the container";
  }
  return check;
}

MachineCheck filter() {
  const std::string status = read_text("/proc/self/status");
  const bool filtered = field_of(status, "Seccomp") == "2";
  return {"seccomp",
          Verdict::good,
          filtered ? "a filter is on; what it refuses is named above" : "no filter",
          {},
          {}};
}

MachineCheck huge_pages() {
  const std::string text = first_line("/sys/kernel/mm/transparent_hugepage/shmem_enabled");
  const std::size_t begin = text.find('['), end = text.find(']');
  const std::string chosen =
      begin < end && end != std::string::npos ? text.substr(begin + 1, end - begin - 1) : "not known";
  const bool on = chosen == "advise" || chosen == "always" || chosen == "within_size" || chosen == "force";
  MachineCheck check{"huge pages", on ? Verdict::good : Verdict::costs, "shmem_enabled: " + chosen, {}, {}};
  if (!on) {
    check.cost = "buffers that ask for .huge_pages get small ones; channels never use them";
    check.cure = "echo advise > /sys/kernel/mm/transparent_hugepage/shmem_enabled";
  }
  return check;
}

MachineCheck commitment() {
  const bool strict = first_line("/proc/sys/vm/overcommit_memory") == "2";
  if (!strict) return {"overcommit", Verdict::good, "memory is given when it is touched", {}, {}};
  return {"overcommit", Verdict::costs, "vm.overcommit_memory is 2",
          "memory may be refused though there is some: posting then says so",
          "sysctl vm.overcommit_memory=0"};
}

// The limit of this process's control group, of version 2; empty: none is set, or none is known.
std::string group_limit(const char* file) {
  const std::string group = first_line("/proc/self/cgroup");
  if (!group.starts_with("0::")) return {};
  std::string limit = first_line("/sys/fs/cgroup" + group.substr(3) + "/" + file);
  if (limit.empty()) limit = first_line(std::string("/sys/fs/cgroup/") + file);
  return limit == "max" ? std::string() : limit;
}

MachineCheck container() {
  const std::string memory = group_limit("memory.max"), processes = group_limit("pids.max");
  MachineCheck check{"container limits", Verdict::good, "none", {}, {}};
  if (!memory.empty() || !processes.empty())
    check.found = fmt::format("memory {}, processes {}", memory.empty() ? "unlimited" : memory + " bytes",
                              processes.empty() ? "unlimited" : processes);
  constexpr std::uint64_t kLittle = 256 << 20;
  if (!memory.empty() && std::strtoull(memory.c_str(), nullptr, 10) < kLittle) {
    check.verdict = Verdict::costs;
    check.cost = "a channel may take 128 MiB, of whoever touches it first: mostly the writer";
    check.cure = "a smaller ChannelOptions::limit_bytes, or more memory for the container";
  }
  return check;
}

MachineCheck sight() {
  const std::size_t seen = portolan::inspect::all_processes().size();
  std::size_t readable = 0;
  for (const int pid : portolan::inspect::all_processes())
    if (portolan::inspect::descriptors_of(pid)) ++readable;
  return {"what ls can see",
          Verdict::good,
          fmt::format("descriptors of {} of {} processes", readable, seen),
          {},
          {}};
}

}  // namespace

std::vector<MachineCheck> check_machine() {
  return {kernel(),  memory_files(), sockets(),    process_descriptors(), descriptors(), barriers(),
          futexes(), filter(),       huge_pages(), commitment(),          container(),   sight()};
}

}  // namespace command
