// SPDX-License-Identifier: Apache-2.0

// The cost of moving a buffer to another process beside that of a port, in one run; and what the move leaves
// out: the first touch of its pages, and unmapping them.

#include <cstddef>
#include <functional>
#include <span>
#include <stdexcept>
#include <utility>

#include <portolan/port.hpp>

#include "cpu.hpp"
#include "partner.hpp"
#include "questions.hpp"

namespace bench {

namespace {

constexpr std::size_t kGiant = std::size_t{1} << 30, kTouched = std::size_t{256} << 20, kPage = 4096;

// Receives what moves and does with it what is measured; sends it back from where it is called.
using Pass = std::function<void(portolan::MessagePort& carrier)>;

portolan::Received take(portolan::MessagePort& carrier) {
  portolan::Received message = carrier.receive();
  if (!message) throw std::runtime_error("the carrier is closed");
  return message;
}

void pass_port(portolan::MessagePort& carrier) {
  portolan::MessagePort port = std::move(take(carrier)->ports()[0]);
  carrier.post_message("on", {.transfer = {port}});
}

void pass_buffer(portolan::MessagePort& carrier) {
  portolan::SharedBuffer buffer = std::move(take(carrier)->buffers()[0]);
  carrier.post_message("on", {.transfer = {buffer}});
}

void touch_and_pass_buffer(portolan::MessagePort& carrier) {
  portolan::SharedBuffer buffer = std::move(take(carrier)->buffers()[0]);
  buffer.bytes()[0] = std::byte{1};
  carrier.post_message("on", {.transfer = {buffer}});
}

// One thing in `list` goes to and fro; nanoseconds a move.
double move_ns(portolan::TransferList list, const Pass& pass) {
  constexpr int kMoves = 4000;
  portolan::MessageChannel carrier;
  portolan::PortHandle handle = std::move(carrier.port2).release();
  const Partner partner([&] {
    portolan::MessagePort port = portolan::MessagePort::adopt(std::move(handle));
    for (int i = 0; i < kMoves / 2; ++i) pass(port);
    static_cast<void>(port.receive());
  });
  handle = {};
  const std::int64_t began = now_ns();
  carrier.port1.post_message("there", {.transfer = std::move(list)});
  for (int i = 1; i < kMoves / 2; ++i) pass(carrier.port1);
  static_cast<void>(take(carrier.port1));
  const std::int64_t took = now_ns() - began;
  carrier.port1.close();
  return static_cast<double>(took) / kMoves;
}

double move_port_ns() {
  portolan::MessageChannel moved;
  return move_ns({moved.port2}, pass_port);
}

double move_buffer_ns(std::size_t bytes, const Pass& pass) {
  portolan::SharedBuffer buffer(bytes);
  return move_ns({buffer}, pass);
}

double create_ns() {
  constexpr int kBuffers = 2000;
  const std::int64_t began = now_ns();
  for (int i = 0; i < kBuffers; ++i) const portolan::SharedBuffer dropped(kGiant);
  return static_cast<double>(now_ns() - began) / kBuffers;
}

double touch(portolan::SharedBuffer& buffer) {
  const std::span<std::byte> bytes = buffer.bytes();
  const std::size_t pages = bytes.size() / kPage;
  const std::int64_t began = now_ns();
  for (std::size_t at = 0; at < bytes.size(); at += kPage) bytes[at] = std::byte{1};
  return static_cast<double>(now_ns() - began) / static_cast<double>(pages);
}

double first_touch_ns() {
  portolan::SharedBuffer buffer(kTouched);
  return touch(buffer);
}

// The pages are there; the receiver's page tables are not.
double touch_again_ns() {
  portolan::MessageChannel carrier;
  portolan::SharedBuffer buffer(kTouched);
  touch(buffer);
  carrier.port1.post_message("on", {.transfer = {buffer}});
  buffer = std::move(take(carrier.port2)->buffers()[0]);
  return touch(buffer);
}

// What a post of a touched buffer takes, nearly all of which is unmapping.
double unmap_ns() {
  portolan::MessageChannel carrier;
  portolan::SharedBuffer buffer(kTouched);
  touch(buffer);
  constexpr std::size_t kPages = kTouched / kPage;
  const std::int64_t began = now_ns();
  carrier.port1.post_message("on", {.transfer = {buffer}});
  return static_cast<double>(now_ns() - began) / static_cast<double>(kPages);
}

}  // namespace

void measure_buffer(Report& report) {
  report.section("Moving a buffer to another process, beside a port");
  report.row("a port, passed on unused", "ns", move_port_ns);
  report.row("1 GiB, passed on unread", "ns", [] { return move_buffer_ns(kGiant, pass_buffer); });
  report.row("4 KiB, passed on unread", "ns", [] { return move_buffer_ns(kPage, pass_buffer); });
  report.row("1 GiB, mapped and one page touched at each end", "ns",
             [] { return move_buffer_ns(kGiant, touch_and_pass_buffer); });
  report.row("making 1 GiB and dropping it untouched", "ns", create_ns);
  report.row("first touch of a page", "ns/page", first_touch_ns);
  report.row("first touch of a page by its receiver, who did not make it", "ns/page", touch_again_ns);
  report.row("unmapping at the sender, all pages touched", "ns/page", unmap_ns);
}

}  // namespace bench
