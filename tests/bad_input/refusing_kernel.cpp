// SPDX-License-Identifier: Apache-2.0

#include "bad_input/refusing_kernel.hpp"

#ifdef PORTOLAN_CAN_REFUSE

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <fcntl.h>
#include <new>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <portolan/error.hpp>

#include "support/child_process.hpp"
#include "support/condition.hpp"
#include "support/resource_census.hpp"
#include "support/shared_page.hpp"

namespace portolan::testing {

namespace {

// ---- the child

struct Notes {
  std::array<char, 400> said{};
  std::array<char, 400> complaint{};
  std::array<char, 1600> list{};  // of what is open at the end
  std::atomic<bool> told{false};
  Possessions left;
};

template <std::size_t kBytes>
void write_down(std::array<char, kBytes>& note, const std::string& text) {
  text.copy(note.data(), kBytes - 1);
}

Possessions possessions() {
  const Census census = Census::take();
  return {census.descriptors.size(), census.shared_mappings.size(), census.children.size()};
}

std::string list_of_all() {
  const Census census = Census::take();
  std::string text;
  for (const auto& [number, target] : census.descriptors)
    text += std::to_string(number) + " " + target + "; ";
  for (const auto& [name, line] : census.shared_mappings) text += name + "; ";
  return text;
}

void perform(const OperationBody& operation, Notes& notes, const std::optional<Possessions>& expected) {
  try {
    Attempt traced(true);
    operation(traced);
    notes.told = traced.threw();
    write_down(notes.said, traced.said());
    Attempt plain(false);
    operation(plain);
    if (plain.threw()) throw Complaint("without a refusal it says: " + plain.said());
  } catch (const std::exception& wrong) {
    write_down(notes.complaint, wrong.what());
    return;
  }
  notes.left = possessions();
  if (!expected ||
      wait_until([&] { return (notes.left = possessions()) == *expected; }, std::chrono::seconds(3)))
    return;
  write_down(notes.complaint, "something is left, or too little");
  write_down(notes.list, list_of_all());
}

void stop_here() {
  ::syscall(SYS_tgkill, ::getpid(), ::gettid(), SIGSTOP);
}

// ---- its parent

struct Trace {
  pid_t child;
  std::optional<RefusedCall> refused;
  Outcome& outcome;
  bool inside = false;
  int error = 0;  // that the call at hand is to end with
  bool over = false;

  void at_stop();
  void at_entry(const __ptrace_syscall_info& about);
};

constexpr std::size_t kNumberPlace = offsetof(user_regs_struct, orig_rax),
                      kResultPlace = offsetof(user_regs_struct, rax);

void poke(pid_t child, std::size_t place, long value) {
  ::ptrace(PTRACE_POKEUSER, child, place, value);
}

void Trace::at_entry(const __ptrace_syscall_info& about) {
  SystemCall call{static_cast<long>(about.entry.nr),
                  {about.entry.args[0], about.entry.args[1], about.entry.args[2]}};
  if (call.number == SYS_tgkill && call.arguments[2] == SIGSTOP) {
    over = true;
    return;
  }
  const bool chosen = refused && refused->index == outcome.calls.size();
  outcome.calls.push_back(call);
  if (!chosen || refused->error >= errors_of(call).size()) return;
  error = errors_of(call)[refused->error];
  outcome.refused = true;
  // The kernel has closed it, whatever it says.
  if (call.number != SYS_close) poke(child, kNumberPlace, -1);
}

void Trace::at_stop() {
  __ptrace_syscall_info about{};
  if (::ptrace(static_cast<__ptrace_request>(PTRACE_GET_SYSCALL_INFO), child, sizeof about, &about) < 0)
    return;
  if (about.op == PTRACE_SYSCALL_INFO_ENTRY) return at_entry(about);
  if (about.op != PTRACE_SYSCALL_INFO_EXIT || error == 0) return;
  poke(child, kResultPlace, -error);
  error = 0;
}

// The status of a stop; false: it has ended, and is still to be reaped.
bool next_stop(pid_t child, int& status) {
  siginfo_t news{};
  if (::waitid(P_PID, static_cast<id_t>(child), &news, WEXITED | WSTOPPED | WNOWAIT) != 0) return false;
  if (news.si_code == CLD_EXITED || news.si_code == CLD_KILLED || news.si_code == CLD_DUMPED) return false;
  return ::waitpid(child, &status, 0) == child;
}

void follow(pid_t child, const std::optional<RefusedCall>& refused, Outcome& outcome) {
  Trace trace{child, refused, outcome};
  bool begun = false;
  for (int status = 0; next_stop(child, status);) {
    int signal = WSTOPSIG(status);
    if (signal == (SIGTRAP | 0x80)) {
      trace.at_stop();
      signal = 0;
    } else if (signal == SIGSTOP) {
      if (!begun) ::ptrace(PTRACE_SETOPTIONS, child, 0, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL);
      begun = true;
      signal = 0;
    }
    ::ptrace(begun && !trace.over ? PTRACE_SYSCALL : PTRACE_CONT, child, 0, signal);
  }
}

}  // namespace

void Attempt::operator()(const std::function<void()>& act) {
  if (traced_) stop_here();
  try {
    act();
  } catch (const PortError& error) {
    said_ = error.what();
  } catch (const QueueFullError& full) {
    said_ = full.what();
  } catch (const std::bad_alloc&) {
    said_ = "no memory";
  }
  if (traced_) stop_here();
  traced_ = false;
  if (threw()) act();
}

Outcome attempt_with_refusal(const OperationBody& operation, std::optional<RefusedCall> refused,
                             std::optional<Possessions> expected) {
  constexpr unsigned kSeconds = 20;  // a call that does not return is seen by this
  Outcome outcome;
  SharedPage<Notes> notes;
  ChildProcess child = ChildProcess::fork([&] {
    PORTOLAN_CHILD_REQUIRE(::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) == 0);
    ::alarm(kSeconds);
    perform(operation, *notes, expected);
    return 0;
  });
  follow(child.pid(), refused, outcome);
  const ChildExit ended = child.kill_and_reap();
  outcome.told = notes->told;
  outcome.said = notes->said.data();
  outcome.complaint = notes->complaint.data();
  if (notes->list[0] != 0) outcome.complaint += std::string(": ") + notes->list.data();
  if (ended != ChildExit::exited(0))
    outcome.complaint += ended.signal == SIGALRM ? "; it hangs" : "; it crashed";
  outcome.left = notes->left;
  return outcome;
}

// ---- the manual pages

namespace {

struct Errors {
  long call;
  std::vector<int> errors;
};

// Left out are a broken page (EIO of what reads memory), what one descriptor cannot be too many for (poll),
// and a kernel that does not know a call at all (futex_waitv), which the library remembers: then a thread
// needs other descriptors than before.
const std::vector<Errors>& table() {
  static const std::vector<Errors> kTable{
      {SYS_memfd_create, {EMFILE, ENFILE, ENOMEM, EINVAL, EPERM, ENOSYS}},
      {SYS_ftruncate, {EINTR, EFBIG, EIO, EPERM}},
      {SYS_fallocate, {EINTR, ENOSPC, EFBIG, EIO, ENODEV, EOPNOTSUPP, EPERM, ENOMEM}},
      {SYS_pwrite64, {EINTR, ENOSPC, EIO, EFBIG, EDQUOT, EPERM, ENOMEM}},
      {SYS_write, {EINTR, ENOSPC, EIO, EDQUOT, EPERM}},
      {SYS_pread64, {EINTR}},
      {SYS_read, {EINTR, EIO}},
      {SYS_mmap, {ENOMEM, EAGAIN, EACCES, ENFILE, ENODEV, EPERM, EINVAL}},
      {SYS_mremap, {ENOMEM, EAGAIN}},
      {SYS_mprotect, {ENOMEM, EACCES}},
      {SYS_madvise, {ENOMEM, EAGAIN, EIO, EINVAL, EPERM}},
      {SYS_fstat, {ENOMEM}},
      {SYS_newfstatat, {ENOMEM}},
      {SYS_statx, {ENOMEM}},
      {SYS_fstatfs, {EINTR, ENOMEM}},
      {SYS_socketpair, {EMFILE, ENFILE, ENOBUFS, ENOMEM, EAFNOSUPPORT, EOPNOTSUPP, EPROTONOSUPPORT}},
      {SYS_socket, {EMFILE, ENFILE, ENOBUFS, ENOMEM, EACCES, EAFNOSUPPORT, EPROTONOSUPPORT}},
      {SYS_bind, {EADDRINUSE, EACCES, ELOOP, ENAMETOOLONG, ENOENT, ENOMEM, ENOTDIR, EROFS}},
      {SYS_listen, {EADDRINUSE, EOPNOTSUPP}},
      {SYS_connect, {EINTR, EAGAIN, EACCES, EPERM, ECONNREFUSED, ETIMEDOUT, ENOENT}},
      {SYS_accept4, {EINTR, EMFILE, ENFILE, ENOBUFS, ENOMEM, EPERM, ECONNABORTED, EPROTO}},
      {SYS_sendmsg, {EINTR, EAGAIN, ENOBUFS, ENOMEM, ETOOMANYREFS, EMFILE, EMSGSIZE}},
      {SYS_sendto, {EINTR, EAGAIN, ENOBUFS, ENOMEM}},
      {SYS_recvmsg, {EINTR, ENOMEM}},
      {SYS_recvfrom, {EINTR, ENOMEM}},
      {SYS_getsockopt, {ENOMEM, ENOBUFS}},
      {SYS_setsockopt, {ENOPROTOOPT, ENOMEM, ENOBUFS, EPERM}},
      {SYS_ioctl, {ENOTTY, EINVAL}},
      {SYS_poll, {EINTR}},
      {SYS_ppoll, {EINTR, ENOMEM, EINVAL}},
      {SYS_epoll_create1, {EMFILE, ENFILE, ENOMEM}},
      {SYS_epoll_ctl, {ENOMEM, ENOSPC}},
      {SYS_epoll_wait, {EINTR}},
      {SYS_epoll_pwait, {EINTR}},
      {441 /* epoll_pwait2 */, {EINTR, ENOSYS}},
      {SYS_eventfd2, {EMFILE, ENFILE, ENODEV, ENOMEM}},
      {SYS_timerfd_create, {EMFILE, ENFILE, ENODEV, ENOMEM, EPERM}},
      {SYS_signalfd4, {EMFILE, ENFILE, ENODEV, ENOMEM}},
      {SYS_pipe2, {EMFILE, ENFILE}},
      {SYS_futex, {EINTR, EAGAIN, ENOSYS}},
      {449 /* futex_waitv */, {EINTR, EAGAIN, ENOMEM}},
      {SYS_membarrier, {ENOSYS, EPERM, EINVAL}},
      {SYS_getrandom, {EINTR, EAGAIN, ENOSYS}},
      {434 /* pidfd_open */, {EMFILE, ENFILE, ENODEV, ENOMEM}},
      {SYS_clone, {EAGAIN, ENOMEM, EPERM}},
      {435 /* clone3 */, {EAGAIN, ENOMEM, EPERM, ENOSYS}},
      {SYS_vfork, {EAGAIN, ENOMEM}},
      {SYS_fork, {EAGAIN, ENOMEM}},
      {SYS_openat, {EINTR, EMFILE, ENFILE, ENOMEM, ENOSPC, EACCES, ELOOP, ENOENT, EROFS, EIO}},
      {SYS_flock, {EINTR, ENOLCK}},
      {SYS_close, {EINTR, EIO}},
      {SYS_prctl, {EINVAL}},
  };
  return kTable;
}

std::span<const int> errors_of_fcntl(std::uint64_t command) {
  static const std::vector<int> kDuplicate{EMFILE, EINVAL}, kAddSeals{EBUSY, EPERM, EINVAL},
      kFlags{EAGAIN, EPERM};
  switch (command) {
    case F_DUPFD_CLOEXEC:
      return kDuplicate;
    case F_ADD_SEALS:
      return kAddSeals;
    case F_SETFL:
      return kFlags;
    default:
      return {};
  }
}

}  // namespace

std::span<const int> errors_of(const SystemCall& call) {
  if (call.number == SYS_fcntl) return errors_of_fcntl(call.arguments[1]);
  const auto found = std::find_if(table().begin(), table().end(),
                                  [&](const Errors& row) { return row.call == call.number; });
  return found != table().end() ? std::span<const int>(found->errors) : std::span<const int>();
}

}  // namespace portolan::testing

#endif
