// SPDX-License-Identifier: Apache-2.0

// posix_spawn and pidfds.
#include "os/process.hpp"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
extern "C" {  // glibc 2.36 forgot it in this header
#include <sys/pidfd.h>
}
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "os/pause.hpp"
#include "os/refusal.hpp"

namespace portolan::os {
namespace {

constexpr std::string_view kDescriptorCure = "close descriptors or raise RLIMIT_NOFILE (ulimit -n)";

// Throws what posix_spawn's family returns.
void check(int error, std::string_view call, std::string_view object, std::string_view cure) {
  if (error != 0) throw_refusal({error, std::generic_category()}, call, object, cure);
}

class FileActions {
 public:
  FileActions() {
    check(::posix_spawn_file_actions_init(&actions_), "posix_spawn_file_actions_init", {}, "free memory");
  }
  ~FileActions() { ::posix_spawn_file_actions_destroy(&actions_); }
  FileActions(const FileActions&) = delete;
  FileActions& operator=(const FileActions&) = delete;

  void change_directory(const std::string& directory) {
    check(::posix_spawn_file_actions_addchdir_np(&actions_, directory.c_str()), "spawn", directory,
          "free memory");
  }
  void duplicate(int source, int target) {
    check(::posix_spawn_file_actions_adddup2(&actions_, source, target), "spawn", {},
          "use a smaller target number");
  }
  [[nodiscard]] const posix_spawn_file_actions_t* get() const noexcept { return &actions_; }

 private:
  posix_spawn_file_actions_t actions_{};
};

class Attributes {
 public:
  Attributes() {
    check(::posix_spawnattr_init(&attributes_), "posix_spawnattr_init", {}, "free memory");
    sigset_t none;
    ::sigemptyset(&none);
    ::posix_spawnattr_setsigmask(&attributes_, &none);
    ::posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETSIGMASK);
  }
  ~Attributes() { ::posix_spawnattr_destroy(&attributes_); }
  Attributes(const Attributes&) = delete;
  Attributes& operator=(const Attributes&) = delete;
  [[nodiscard]] const posix_spawnattr_t* get() const noexcept { return &attributes_; }

 private:
  posix_spawnattr_t attributes_{};
};

// Duplicates above every target, so that no dup2 in the child can overwrite the source of a later one, nor
// find source and target equal and leave close-on-exec set.
std::vector<FileDescriptor> lift_above_targets(const SpawnRequest& request) {
  int highest = STDERR_FILENO;
  for (const InheritedDescriptor& each : request.descriptors) highest = std::max(highest, each.target);
  std::vector<FileDescriptor> lifted;
  lifted.reserve(request.descriptors.size());
  for (const InheritedDescriptor& each : request.descriptors) {
    lifted.emplace_back(::fcntl(each.source, F_DUPFD_CLOEXEC, highest + 1));
    if (!lifted.back()) throw_refusal(last_error(), request.call, request.program, kDescriptorCure);
  }
  return lifted;
}

std::vector<char*> pointers(const std::vector<std::string>& strings) {
  std::vector<char*> result;
  result.reserve(strings.size() + 1);
  for (const std::string& each : strings) result.push_back(const_cast<char*>(each.c_str()));
  result.push_back(nullptr);
  return result;
}

ProcessEnd reap(int pidfd) noexcept {
  siginfo_t info{};
  int result = -1;
  do {
    result = ::waitid(P_PIDFD, static_cast<id_t>(pidfd), &info, WEXITED);
  } while (result != 0 && errno == EINTR);
  if (result != 0) return {};
  const auto kind = info.si_code == CLD_EXITED ? ProcessEnd::Kind::exited : ProcessEnd::Kind::killed;
  return {kind, info.si_status};
}

}  // namespace

SpawnedProcess spawn(const SpawnRequest& request) {
  std::vector<FileDescriptor> lifted = lift_above_targets(request);
  FileActions actions;
  const Attributes attributes;
  for (std::size_t i = 0; i < lifted.size(); ++i)
    actions.duplicate(lifted[i].get(), request.descriptors[i].target);
  if (!request.directory.empty()) actions.change_directory(request.directory);
  std::vector<std::string> arguments{request.program};
  arguments.insert(arguments.end(), request.arguments.begin(), request.arguments.end());
  SpawnedProcess spawned;
  check(::posix_spawnp(&spawned.pid, request.program.c_str(), actions.get(), attributes.get(),
                       pointers(arguments).data(), pointers(request.environment).data()),
        request.call, request.program,
        "check that the program and the directory" +
            (request.directory.empty() ? "" : " \"" + request.directory + '"') +
            " exist and that it may be executed");
  lifted.clear();  // makes room for the pidfd: what the child has inherited would be lost with the child
  try {
    spawned.pidfd = open_pidfd(spawned.pid);  // the number is the child's until somebody reaps it
  } catch (...) {
    ::kill(spawned.pid, SIGKILL);
    ::waitpid(spawned.pid, nullptr, 0);
    throw;
  }
  return spawned;
}

std::vector<std::string> current_environment() {
  std::vector<std::string> result;
  for (char** each = environ; each != nullptr && *each != nullptr; ++each) result.emplace_back(*each);
  return result;
}

std::optional<std::string> take_from_environment(const char* name) {
  const char* const value = ::getenv(name);
  if (value == nullptr) return std::nullopt;
  std::optional<std::string> taken(value);
  ::unsetenv(name);
  return taken;
}

FileDescriptor open_pidfd(int pid) {
  FileDescriptor pidfd(::pidfd_open(pid, 0));  // always closed on exec
  if (pidfd) return pidfd;
  const bool filtered = errno == EPERM || errno == ENOSYS;
  throw_refusal(last_error(), "pidfd_open", std::to_string(pid),
                filtered ? "run Linux 5.3 or newer, or allow pidfd_open in the container's seccomp profile"
                         : "check that the process exists");
}

bool is_dead(int pidfd) noexcept {
  pollfd asked{pidfd, POLLIN, 0};
  int found = -1;
  do {
    found = ::poll(&asked, 1, 0);
  } while (found < 0 && errno == EINTR);
  return found > 0 && (asked.revents & POLLIN) != 0;
}

bool ended_within(int pidfd, std::int64_t timeout_ns) noexcept {
  const std::int64_t start = monotonic_ns();
  for (;;) {
    const std::int64_t left_ns = std::max<std::int64_t>(timeout_ns - (monotonic_ns() - start), 0);
    timespec left{};
    left.tv_sec = static_cast<time_t>(left_ns / kNsPerSecond);
    left.tv_nsec = static_cast<long>(left_ns % kNsPerSecond);
    pollfd asked{pidfd, POLLIN, 0};
    const int ready = ::ppoll(&asked, 1, timeout_ns < 0 ? nullptr : &left, nullptr);
    if (ready >= 0) return ready > 0;
    if (errno != EINTR) return true;  // what cannot be waited for is told as unknown by its reaping
  }
}

std::optional<ProcessEnd> wait_for_end(int pidfd, std::int64_t timeout_ns) noexcept {
  if (!ended_within(pidfd, timeout_ns)) return std::nullopt;
  return reap(pidfd);
}

std::error_code send_signal(int pidfd, int signal) noexcept {
  return ::pidfd_send_signal(pidfd, signal, nullptr, 0) == 0 ? std::error_code{} : last_error();
}

std::error_code set_inheritable(int descriptor, bool inheritable) noexcept {
  const int flags = ::fcntl(descriptor, F_GETFD);
  if (flags < 0) return last_error();
  const int wanted = inheritable ? flags & ~FD_CLOEXEC : flags | FD_CLOEXEC;
  return ::fcntl(descriptor, F_SETFD, wanted) == 0 ? std::error_code{} : last_error();
}

std::uint32_t effective_uid() noexcept {
  return static_cast<std::uint32_t>(::geteuid());
}

unsigned usable_processors() noexcept {
  cpu_set_t processors;
  if (::sched_getaffinity(0, sizeof processors, &processors) != 0) return 1;
  const int count = CPU_COUNT(&processors);
  return count > 0 ? static_cast<unsigned>(count) : 1;
}

}  // namespace portolan::os
