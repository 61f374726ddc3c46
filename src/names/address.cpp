// SPDX-License-Identifier: Apache-2.0

#include "names/address.hpp"

#include <cstdlib>

#include <portolan/error.hpp>

#include "os/local_socket.hpp"
#include "wire/name_packet.hpp"

namespace portolan::names {

namespace {

constexpr std::string_view kPathPrefix = "unix:";

[[noreturn]] void refuse(std::string_view call, std::string_view text, const std::string& why) {
  throw PortError(std::make_error_code(std::errc::invalid_argument),
                  std::string(call) + "(\"" + std::string(text) + "\"): " + why);
}

}  // namespace

std::string Address::in(std::string_view call) const {
  return std::string(call) + "(\"" + text + "\")";
}

Address parse_address(std::string_view call, std::string_view text) {
  Address address{std::string(text), {}};
  if (!text.starts_with(kPathPrefix)) {
    if (!wire::is_registered_name(text))
      refuse(call, text,
             "this is no name; use 1 to " + std::to_string(wire::kMaxRegisteredNameBytes) +
                 " letters, digits and ._- such as \"org.example.render\", or unix:PATH");
    return address;
  }
  address.path = text.substr(kPathPrefix.size());
  if (address.path.empty() || address.path.find('\0') != std::string::npos)
    refuse(call, text, "there is no path behind unix:; use one such as \"unix:/run/render.sock\"");
  if (address.path.front() == '@')
    refuse(call, text, "an abstract address has no file whose permissions could protect it; use a path");
  if (address.path.size() > os::kMaxSocketPathBytes)
    refuse(call, text,
           "the path is longer than the " + std::to_string(os::kMaxSocketPathBytes) +
               " bytes that the kernel takes; use a shorter one, or a relative one");
  return address;
}

std::vector<DaemonPlace> daemon_places() {
  if (const char* const given = std::getenv("PORTOLAN_SOCKET"); given != nullptr && *given != '\0')
    return {{given, std::string("$PORTOLAN_SOCKET (") + given + ")"}};
  std::vector<DaemonPlace> places;
  if (const char* const directory = std::getenv("XDG_RUNTIME_DIR");
      directory != nullptr && *directory != '\0')
    places.push_back({std::string(directory) + "/portolan.sock", "$XDG_RUNTIME_DIR/portolan.sock"});
  places.push_back({"/run/portolan.sock", "/run/portolan.sock"});
  return places;
}

}  // namespace portolan::names
