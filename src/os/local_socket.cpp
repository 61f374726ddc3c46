// SPDX-License-Identifier: Apache-2.0

#include "os/local_socket.hpp"

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
extern "C" {  // glibc 2.36 forgot it in this header
#include <sys/pidfd.h>
}
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <utility>

#include "os/refusal.hpp"
#include "os/socket.hpp"

namespace portolan::os {
namespace {

constexpr int kPeerPidfd = 77;   // SO_PEERPIDFD, Linux 6.5
constexpr int kPassRights = 83;  // SO_PASSRIGHTS, Linux 6.16
constexpr int kBacklog = 4096;   // the kernel takes it down to net.core.somaxconn

std::error_code address_of(const std::string& path, sockaddr_un& address, socklen_t& size) noexcept {
  if (path.empty() || path.size() > kMaxSocketPathBytes)
    return std::make_error_code(std::errc::filename_too_long);
  address = {};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + 1);
  return {};
}

}  // namespace

std::error_code listen_at(const std::string& path, unsigned permissions, FileDescriptor& out) noexcept {
  sockaddr_un address;
  socklen_t size = 0;
  if (const auto error = address_of(path, address, size)) return error;
  FileDescriptor socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) return last_error();
  // The file is made with the socket's own mode, less the umask; what is wanted beyond it is given before the
  // first connection is possible.
  if (::fchmod(socket.get(), permissions & 0777U) != 0) return last_error();
  if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), size) != 0) return last_error();
  if (::chmod(path.c_str(), permissions & 0777U) != 0 || ::listen(socket.get(), kBacklog) != 0) {
    const auto error = last_error();
    ::unlink(path.c_str());
    return error;
  }
  out = std::move(socket);
  return {};
}

bool listens(int socket) noexcept {
  int domain = 0, type = 0, accepts = 0;
  socklen_t size = sizeof domain;
  return ::getsockopt(socket, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 && domain == AF_UNIX &&
         ::getsockopt(socket, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_SEQPACKET &&
         ::getsockopt(socket, SOL_SOCKET, SO_ACCEPTCONN, &accepts, &size) == 0 && accepts != 0;
}

std::error_code connect_to(const std::string& path, FileDescriptor& out) noexcept {
  sockaddr_un address;
  socklen_t size = 0;
  if (const auto error = address_of(path, address, size)) return error;
  FileDescriptor socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) return last_error();
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), size) != 0) return last_error();
  out = std::move(socket);
  return {};
}

std::error_code accept_connection(int listening, FileDescriptor& out) noexcept {
  // Readiness was looked at first, but another holder of a socket that came from outside may have been
  // faster.
  const int flags = ::fcntl(listening, F_GETFL);
  if (flags >= 0 && (flags & O_NONBLOCK) == 0) ::fcntl(listening, F_SETFL, flags | O_NONBLOCK);
  for (;;) {
    const int accepted = ::accept4(listening, nullptr, nullptr, SOCK_CLOEXEC);
    if (accepted >= 0) {
      out.reset(accepted);
      return {};
    }
    if (errno != EINTR && errno != ECONNABORTED) return last_error();
  }
}

FileDescriptor peer_pidfd(int socket) noexcept {
  int pidfd = -1;
  socklen_t size = sizeof pidfd;
  if (::getsockopt(socket, SOL_SOCKET, kPeerPidfd, &pidfd, &size) == 0) return FileDescriptor(pidfd);
  Credentials peer;
  if (errno != ENOPROTOOPT || peer_credentials(socket, peer) || peer.pid <= 0) return {};
  FileDescriptor by_number(::pidfd_open(peer.pid, 0));
  // An end that is still open speaks for its maker's life, after the number was looked up.
  pollfd asked{socket, POLLRDHUP, 0};
  if (::poll(&asked, 1, 0) != 0) return {};
  return by_number;
}

void refuse_descriptors(int socket, bool refuse) noexcept {
  const int pass = refuse ? 0 : 1;
  static_cast<void>(::setsockopt(socket, SOL_SOCKET, kPassRights, &pass, sizeof pass));
}

FileLock& FileLock::operator=(FileLock&& other) noexcept {
  if (this == &other) return *this;
  release();
  path_ = std::move(other.path_);
  file_ = std::move(other.file_);
  return *this;
}

FileLock::~FileLock() {
  release();
}

std::error_code FileLock::acquire(const std::string& path) {
  for (;;) {
    FileDescriptor file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!file) return last_error();
    if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
      if (errno == EINTR) continue;
      return last_error();
    }
    // The last holder may have removed it between the two calls.
    struct stat opened {
    }, named{};
    if (::fstat(file.get(), &opened) != 0) return last_error();
    if (::stat(path.c_str(), &named) != 0 || named.st_ino != opened.st_ino || named.st_dev != opened.st_dev)
      continue;
    path_ = path;
    file_ = std::move(file);
    return {};
  }
}

void FileLock::release() noexcept {
  if (!file_) return;
  ::unlink(path_.c_str());  // while it is held: whoever opened it meanwhile finds that it is not the file of
                            // that name
  file_.reset();
}

std::error_code remove_stale_socket(const std::string& path) noexcept {
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0) return errno == ENOENT ? std::error_code{} : last_error();
  if (!S_ISSOCK(status.st_mode)) return std::make_error_code(std::errc::file_exists);
  FileDescriptor probe;
  const std::error_code answer = connect_to(path, probe);
  if (answer != std::errc::connection_refused) return std::make_error_code(std::errc::address_in_use);
  return ::unlink(path.c_str()) == 0 || errno == ENOENT ? std::error_code{} : last_error();
}

std::uint64_t file_inode(const std::string& path) noexcept {
  struct stat status {};
  return ::lstat(path.c_str(), &status) == 0 ? status.st_ino : 0;
}

void remove_file(const std::string& path) noexcept {
  ::unlink(path.c_str());
}

}  // namespace portolan::os
