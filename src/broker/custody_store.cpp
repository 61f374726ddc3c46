// SPDX-License-Identifier: Apache-2.0

#include "broker/custody_store.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <map>
#include <new>
#include <span>
#include <string_view>

#include <portolan/error.hpp>

#include "os/memory_file.hpp"
#include "os/process.hpp"
#include "os/user_database.hpp"
#include "port/descriptor_access.hpp"

namespace portolan::broker {

namespace {

constexpr std::string_view kPrefix = "portolan.";
constexpr std::array<std::string_view, 4> kRoles{"segment", "socket", "record", "owner"};

std::string name_of(std::uint64_t number, std::string_view role) {
  return std::string(kPrefix) + std::to_string(number) + "." + std::string(role);
}

// "portolan.17.socket" is {17, 1}; {0, 0} is none of them.
std::pair<std::uint64_t, std::size_t> parse(std::string_view name) noexcept {
  if (!name.starts_with(kPrefix)) return {};
  name.remove_prefix(kPrefix.size());
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
  if (error != std::errc{} || end == name.data() + name.size() || *end != '.') return {};
  name.remove_prefix(static_cast<std::size_t>(end - name.data()) + 1);
  for (std::size_t role = 0; role < kRoles.size(); ++role)
    if (name == kRoles[role]) return {number, role};
  return {};
}

// The number of a pidfd's process: -1 once it has ended and was reaped, 0 if this is no pidfd.
int pid_of(const FileDescriptor& pidfd) {
  constexpr std::string_view kField = "Pid:\t";
  const auto text = os::read_text("/proc/self/fdinfo/" + std::to_string(pidfd.get()), 4096);
  const std::size_t at = text ? text->find(kField) : std::string::npos;
  int pid = 0;
  if (at != std::string::npos)
    std::from_chars(text->data() + at + kField.size(), text->data() + text->size(), pid);
  return pid;
}

bool read_record(const FileDescriptor& file, wire::NamePacket& record) {
  std::array<std::byte, wire::kMaxNamePacketBytes> space{};
  // Its length is the packet's: the file is as long as its pages.
  if (os::read_at(file.get(), space, 0)) return false;
  std::uint16_t name_bytes = 0, text_bytes = 0;
  std::memcpy(&name_bytes, space.data() + wire::kNameBytesAt, sizeof name_bytes);
  std::memcpy(&text_bytes, space.data() + wire::kTextBytesAt, sizeof text_bytes);
  const std::size_t bytes = wire::kNameHeadBytes + name_bytes + text_bytes;
  std::uint16_t version = 0;
  return bytes <= space.size() &&
         wire::read_name_packet(std::span(space).first(bytes), record, version) == wire::NameFault::none &&
         record.kind == wire::NameKind::keep;
}

}  // namespace

CustodyStore::Stored CustodyStore::put(const port::Parcel& parcel, const wire::NamePacket& record,
                                       int owner) {
  if (!store_) return {};
  Stored stored;
  try {
    stored.record = os::create_body_file(wire::kMaxNamePacketBytes);
  } catch (const PortError&) {
    return {};
  }
  stored.number = ++last_number_;
  update(stored, record);
  const std::array descriptors{parcel.segment.get(), parcel.socket.get(), stored.record.get(), owner};
  for (std::size_t role = 0; role < kRoles.size(); ++role)
    store_(name_of(stored.number, kRoles[role]), descriptors[role]);
  return stored;
}

void CustodyStore::update(const Stored& stored, const wire::NamePacket& record) noexcept {
  if (stored.number == 0) return;
  try {
    static_cast<void>(os::write_all(stored.record.get(), wire::encode(record), 0));
  } catch (const std::bad_alloc&) {
    // The one before it is true of the same port; its generation is looked at anyway.
  }
}

void CustodyStore::change_owner(const Stored& stored, const wire::NamePacket& record, int owner) {
  if (stored.number == 0) return;
  update(stored, record);
  const std::string name = name_of(stored.number, kRoles[3]);
  store_(name, -1);
  store_(name, owner);
}

void CustodyStore::remove(const Stored& stored) noexcept {
  if (stored.number == 0) return;
  try {
    for (const std::string_view role : kRoles) store_(name_of(stored.number, role), -1);
  } catch (const std::bad_alloc&) {
    // It is found closed, or another one's, by the next broker.
  }
}

std::vector<CustodyStore::Restored> CustodyStore::restore(std::vector<StoredDescriptor> found) {
  std::map<std::uint64_t, std::array<FileDescriptor, kRoles.size()>> ports;
  for (StoredDescriptor& each : found) {
    const auto [number, role] = parse(each.name);
    if (number == 0) continue;
    port::DescriptorAccess::set_foreign(each.descriptor, true);
    ports[number][role] = std::move(each.descriptor);
    last_number_ = std::max(last_number_, number);
  }
  std::vector<Restored> restored;
  for (auto& [number, descriptors] : ports) {
    Restored port;
    port.stored.number = number;
    bool whole =
        descriptors[0] && descriptors[1] && descriptors[2] && read_record(descriptors[2], port.record);
    if (whole) {
      port.parcel =
          port::parcel_from(*port.record.port, std::move(descriptors[0]), std::move(descriptors[1]));
      std::string wrong = port::inspect_parcel(port.parcel, 0);
      if (wrong.empty()) wrong = port::read_header(port.parcel);
      whole = wrong.empty() && port::describe(port.parcel) == *port.record.port;
    }
    if (!whole) {
      remove(port.stored);
      continue;
    }
    port.stored.record = std::move(descriptors[2]);
    const int pid = pid_of(descriptors[3]);
    if (pid == -1 || static_cast<std::uint32_t>(pid) == port.record.pid)
      port.owner = std::move(descriptors[3]);
    // The broker was killed between telling the record and storing its owner.
    if (!port.owner) try {
        port.owner = os::open_pidfd(static_cast<int>(port.record.pid));
      } catch (const PortError&) {
        // It has ended.
      }
    restored.push_back(std::move(port));
  }
  return restored;
}

}  // namespace portolan::broker
