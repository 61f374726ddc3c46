// SPDX-License-Identifier: Apache-2.0

#include "supervisor.hpp"

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <sys/socket.h>
#include <sys/un.h>
#include <utility>

#include <portolan/error.hpp>

#if PORTOLAN_HAS_SYSTEMD
#include <systemd/sd-daemon.h>
#endif

namespace portolan::daemon {

#if PORTOLAN_HAS_SYSTEMD
namespace {

std::string path_of(const FileDescriptor& socket) {
  sockaddr_un address{};
  socklen_t bytes = sizeof address;
  if (::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &bytes) != 0 ||
      bytes <= offsetof(sockaddr_un, sun_path))
    return {};
  return std::string(address.sun_path, ::strnlen(address.sun_path, bytes - offsetof(sockaddr_un, sun_path)));
}

}  // namespace
#endif

Passed passed_descriptors() {
  Passed passed;
#if PORTOLAN_HAS_SYSTEMD
  char** names = nullptr;
  const int count = ::sd_listen_fds_with_names(1, &names);
  for (int i = 0; i < count; ++i) {
    FileDescriptor descriptor(SD_LISTEN_FDS_START + i);
    const std::string name = names != nullptr && names[i] != nullptr ? names[i] : "";
    if (names != nullptr) std::free(names[i]);
    if (::sd_is_socket(descriptor.get(), AF_UNIX, SOCK_SEQPACKET, 1) <= 0 && name.starts_with("portolan.")) {
      passed.stored.push_back({name, std::move(descriptor)});
      continue;
    }
    if (passed.socket)
      throw PortError(std::make_error_code(std::errc::invalid_argument),
                      "portoland: systemd has passed several sockets; let its socket unit have one "
                      "ListenSequentialPacket=");
    passed.path = path_of(descriptor);
    passed.socket = std::move(descriptor);
  }
  std::free(names);
#endif
  return passed;
}

DescriptorStore descriptor_store() {
#if PORTOLAN_HAS_SYSTEMD
  if (std::getenv("NOTIFY_SOCKET") == nullptr) return {};
  return [](std::string_view name, int descriptor) {
    const std::string text(name);
    if (descriptor < 0)
      notify("FDSTOREREMOVE=1\nFDNAME=" + text);
    else
      // systemd is not to look at it: a socket whose peer has gone is the daemon's to judge.
      static_cast<void>(
          ::sd_pid_notify_with_fds(0, 0, ("FDSTORE=1\nFDPOLL=0\nFDNAME=" + text).c_str(), &descriptor, 1));
  };
#else
  return {};
#endif
}

void notify([[maybe_unused]] const std::string& state) noexcept {
#if PORTOLAN_HAS_SYSTEMD
  static_cast<void>(::sd_notify(0, state.c_str()));
#endif
}

}  // namespace portolan::daemon
