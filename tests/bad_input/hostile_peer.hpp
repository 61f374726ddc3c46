// SPDX-License-Identifier: Apache-2.0

// The other end of a channel in the hands of a program that knows the protocol and does not keep to it: it
// publishes any frame, sends any packet, and stores anything anywhere.
#pragma once

#include <algorithm>
#include <cstring>
#include <span>
#include <stdexcept>
#include <sys/mman.h>
#include <sys/socket.h>
#include <vector>

#include <portolan/port.hpp>

#include "ring/writer.hpp"
#include "wire/attachments.hpp"
#include "wire/packet.hpp"

namespace portolan::testing {

class HostilePeer {
 public:
  explicit HostilePeer(MessagePort&& port) : handle_(std::move(port).release()), segment_(handle_) {
    if (!writer_.adopt(ring::Adoption::after_move)) throw std::runtime_error("HostilePeer: adopt");
  }

  ring::ControlPage& page() { return segment_.page(); }
  ring::Side side() const { return handle_.second_side() ? ring::Side::b : ring::Side::a; }
  int socket() { return handle_.socket().get(); }
  // What the other end has left in its line: 0, or its reason + 1.
  std::uint32_t closed_word() {
    return page().endpoint[static_cast<std::size_t>(ring::other(side()))].closed.load();
  }

  bool publish(ring::FrameHeader header, std::span<const std::byte> payload) {
    std::byte* const room = writer_.reserve(payload.size());
    if (room == nullptr) return false;
    if (!payload.empty()) std::memcpy(room, payload.data(), payload.size());
    writer_.commit(header);
    return true;
  }
  bool publish_text(std::string_view text) {
    return publish(ring::FrameHeader::message(static_cast<std::uint32_t>(text.size()), 2, false, false),
                   std::as_bytes(std::span(text)));
  }
  // A frame whose table has these entries; `last_word` is the size of its empty payload, or of its body.
  void publish_table(std::span<const wire::Attachment> entries, std::uint64_t number, bool body = false,
                     std::uint64_t last_word = 0, bool mark = false) {
    std::vector<std::byte> payload(wire::attachments_bytes(entries.size()) + sizeof last_word);
    wire::write_attachments(payload, kGeneration, number, entries);
    std::memcpy(payload.data() + payload.size() - sizeof last_word, &last_word, sizeof last_word);
    const auto size_bytes = static_cast<std::uint32_t>(payload.size());
    publish(
        mark ? ring::FrameHeader::mark(size_bytes) : ring::FrameHeader::message(size_bytes, 1, true, body),
        payload);
  }
  void announce(std::uint64_t number) {
    page().direction[static_cast<std::size_t>(side())].writer.next_transfer.store(number);
  }

  // Of the extent that it writes.
  ring::Run run() {
    return ring::Location{page().direction[static_cast<std::size_t>(side())].writer.extent.load()}.run();
  }

  // False when the queue is full or nobody is there.
  bool send(std::span<const std::byte> bytes, std::span<const int> descriptors) {
    return send_over(socket(), bytes, descriptors);
  }
  static bool send_over(int socket, std::span<const std::byte> bytes, std::span<const int> descriptors) {
    alignas(cmsghdr) std::byte control[CMSG_SPACE(253 * sizeof(int))];
    iovec part{const_cast<std::byte*>(bytes.data()), bytes.size()};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    if (!descriptors.empty()) {
      message.msg_control = control;
      message.msg_controllen = CMSG_LEN(descriptors.size_bytes());
      cmsghdr* const header = CMSG_FIRSTHDR(&message);
      header->cmsg_level = SOL_SOCKET;
      header->cmsg_type = SCM_RIGHTS;
      header->cmsg_len = message.msg_controllen;
      std::memcpy(CMSG_DATA(header), descriptors.data(), descriptors.size_bytes());
    }
    return ::sendmsg(socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0;
  }
  bool send_transfer(std::uint64_t number, std::span<const int> descriptors,
                     wire::PacketKind kind = wire::PacketKind::transfer) {
    return send(wire::encode({kind, static_cast<std::uint32_t>(descriptors.size()), kGeneration, number}),
                descriptors);
  }

 private:
  static constexpr std::uint64_t kGeneration = 2;

  // All of the segment, mapped at once.
  class Mapped final : public ring::BlockStore {
   public:
    explicit Mapped(PortHandle& handle)
        : size_(static_cast<std::size_t>(::lseek(handle.segment().get(), 0, SEEK_END))),
          address_(::mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_SHARED, handle.segment().get(), 0)),
          side_(handle.second_side() ? ring::Side::b : ring::Side::a) {
      if (address_ == MAP_FAILED) throw std::runtime_error("HostilePeer: mmap");
    }
    Mapped(const Mapped&) = delete;
    Mapped& operator=(const Mapped&) = delete;
    ~Mapped() { ::munmap(address_, size_); }

    ring::ControlPage& page() { return *static_cast<ring::ControlPage*>(address_); }
    ring::DirectionLines& lines() { return page().direction[static_cast<std::size_t>(side_)]; }
    ring::Geometry geometry() { return {page().header.block_bytes, page().header.block_count}; }
    std::byte* map_blocks() noexcept override {
      return static_cast<std::byte*>(address_) + geometry().direction_offset(side_);
    }
    bool allocate(ring::Run) noexcept override { return true; }

   private:
    std::size_t size_;
    void* address_;
    ring::Side side_;
  };

  PortHandle handle_;
  Mapped segment_;
  ring::Writer writer_{segment_.lines(), segment_.geometry(), segment_};
};

}  // namespace portolan::testing
