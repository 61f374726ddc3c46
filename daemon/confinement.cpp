// SPDX-License-Identifier: Apache-2.0

#include "confinement.hpp"

#include <cerrno>
#include <grp.h>
#include <pwd.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <portolan/error.hpp>

#if PORTOLAN_HAS_SECCOMP
#include <seccomp.h>
#endif

namespace portolan::daemon {

unsigned long raise_descriptor_limit() noexcept {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  ::getrlimit(RLIMIT_NOFILE, &limit);
  return limit.rlim_cur;
}

namespace {

const passwd& record_of(const std::string& user) {
  const passwd* const record = ::getpwnam(user.c_str());
  if (record == nullptr)
    throw PortError(
        std::make_error_code(std::errc::invalid_argument),
        "portoland --run-as " + user + ": there is no such user; make it (adduser --system " + user + ")");
  return *record;
}

}  // namespace

uid_t uid_of(const std::string& user) {
  return record_of(user).pw_uid;
}

void become(const std::string& user) {
  const passwd& record = record_of(user);
  if (::initgroups(user.c_str(), record.pw_gid) != 0 || ::setgid(record.pw_gid) != 0 ||
      ::setuid(record.pw_uid) != 0)
    throw PortError(
        {errno, std::generic_category()},
        "portoland --run-as " + user + ": the kernel refuses; start it as root, or without --run-as");
}

#if PORTOLAN_HAS_SECCOMP
namespace {

// Memory, descriptors, its sockets, waiting, files that it reads again, and signals. No exec, no new
// sockets of another kind, nothing that looks into other processes.
constexpr int kAllowed[] = {
    SCMP_SYS(accept4),
    SCMP_SYS(bind),
    SCMP_SYS(brk),
    SCMP_SYS(clock_gettime),
    SCMP_SYS(clock_nanosleep),
    SCMP_SYS(clone),
    SCMP_SYS(clone3),
    SCMP_SYS(close),
    SCMP_SYS(connect),
    SCMP_SYS(dup),
    SCMP_SYS(epoll_create1),
    SCMP_SYS(epoll_ctl),
    SCMP_SYS(epoll_pwait),
    SCMP_SYS(epoll_pwait2),
    SCMP_SYS(epoll_wait),
    SCMP_SYS(eventfd2),
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
    SCMP_SYS(fchmod),
    SCMP_SYS(fcntl),
    SCMP_SYS(flock),
    SCMP_SYS(fstat),
    SCMP_SYS(fstatfs),
    SCMP_SYS(ftruncate),
    SCMP_SYS(futex),
    SCMP_SYS(getcwd),
    SCMP_SYS(getdents64),
    SCMP_SYS(getegid),
    SCMP_SYS(geteuid),
    SCMP_SYS(getgid),
    SCMP_SYS(getpeername),
    SCMP_SYS(getpid),
    SCMP_SYS(getrandom),
    SCMP_SYS(getsockname),
    SCMP_SYS(getsockopt),
    SCMP_SYS(gettid),
    SCMP_SYS(getuid),
    SCMP_SYS(ioctl),
    SCMP_SYS(listen),
    SCMP_SYS(lseek),
    SCMP_SYS(lstat),
    SCMP_SYS(madvise),
    SCMP_SYS(membarrier),
    SCMP_SYS(memfd_create),
    SCMP_SYS(mmap),
    SCMP_SYS(mprotect),
    SCMP_SYS(mremap),
    SCMP_SYS(munmap),
    SCMP_SYS(nanosleep),
    SCMP_SYS(newfstatat),
    SCMP_SYS(open),
    SCMP_SYS(openat),
    SCMP_SYS(pidfd_open),
    SCMP_SYS(poll),
    SCMP_SYS(ppoll),
    SCMP_SYS(pread64),
    SCMP_SYS(prlimit64),
    SCMP_SYS(pwrite64),
    SCMP_SYS(read),
    SCMP_SYS(readlink),
    SCMP_SYS(readlinkat),
    SCMP_SYS(recvmsg),
    SCMP_SYS(restart_syscall),
    SCMP_SYS(rseq),
    SCMP_SYS(rt_sigaction),
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(sched_yield),
    SCMP_SYS(sendmsg),
    SCMP_SYS(sendto),
    SCMP_SYS(set_robust_list),
    SCMP_SYS(setsockopt),
    SCMP_SYS(shutdown),
    SCMP_SYS(sigaltstack),
    SCMP_SYS(signalfd4),
    SCMP_SYS(socket),
    SCMP_SYS(socketpair),
    SCMP_SYS(stat),
    SCMP_SYS(statx),
    SCMP_SYS(tgkill),
    SCMP_SYS(timerfd_create),
    SCMP_SYS(timerfd_settime),
    SCMP_SYS(unlink),
    SCMP_SYS(unlinkat),
    SCMP_SYS(write),
    SCMP_SYS(writev),
};

}  // namespace
#endif

bool filter_system_calls() noexcept {
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return false;
#if PORTOLAN_HAS_SECCOMP
  const scmp_filter_ctx filter = ::seccomp_init(SCMP_ACT_KILL_PROCESS);
  if (filter == nullptr) return false;
  bool whole = true;
  for (const int call : kAllowed)
    if (call >= 0) whole = ::seccomp_rule_add(filter, SCMP_ACT_ALLOW, call, 0) == 0 && whole;
  // A thread tells its name, and asks for nothing else this way.
  const scmp_arg_cmp name_only = SCMP_A0(SCMP_CMP_EQ, PR_SET_NAME);
  whole = ::seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(prctl), 1, name_only) == 0 && whole;
  // The thread that closes what foreign peers sent takes the least priority there is.
  const scmp_arg_cmp oneself = SCMP_A0(SCMP_CMP_EQ, 0), least = SCMP_A1(SCMP_CMP_EQ, SCHED_IDLE);
  whole = ::seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(sched_setscheduler), 2, oneself, least) == 0 &&
          whole;
  whole = whole && ::seccomp_load(filter) == 0;
  ::seccomp_release(filter);
  return whole;
#else
  return false;
#endif
}

}  // namespace portolan::daemon
