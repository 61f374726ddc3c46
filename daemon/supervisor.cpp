// SPDX-License-Identifier: Apache-2.0

#include "supervisor.hpp"

#include <portolan/error.hpp>

#if PORTOLAN_HAS_SYSTEMD
#include <systemd/sd-daemon.h>
#endif

namespace portolan::daemon {

FileDescriptor passed_socket() {
#if PORTOLAN_HAS_SYSTEMD
  const int count = ::sd_listen_fds(1);
  if (count > 1)
    throw PortError(std::make_error_code(std::errc::invalid_argument),
                    "portoland: systemd has passed several sockets; let its socket unit have one "
                    "ListenSequentialPacket=");
  if (count == 1) return FileDescriptor(SD_LISTEN_FDS_START);
#endif
  return {};
}

void notify([[maybe_unused]] const std::string& state) noexcept {
#if PORTOLAN_HAS_SYSTEMD
  static_cast<void>(::sd_notify(0, state.c_str()));
#endif
}

}  // namespace portolan::daemon
