// SPDX-License-Identifier: Apache-2.0

// Types as users write them: recursive, with versions, ports, pointers in cycles, a codec, and plain memory.
#pragma once

#include <array>
#include <boost/serialization/version.hpp>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "fuzz/typed_input.hpp"

namespace portolan::fuzz {

struct Shape {
  std::array<float, 3> colour{};
  std::optional<std::string> label;
  std::vector<Shape> parts;
  MessagePort port;

  template <class Archive>
  void serialize(Archive& archive, unsigned version) {
    archive& colour& label& parts;
    if (version >= 2) archive& port;
  }
};

inline void add_ports(Shape& shape, std::vector<MessagePort*>& ports) {
  if (shape.port.number() != 0) ports.push_back(&shape.port);
  for (Shape& part : shape.parts) add_ports(part, ports);
}

template <>
struct PortsIn<Shape> {
  static constexpr bool kMayHaveSome = true;
  static std::vector<MessagePort*> list(Shape& shape) {
    std::vector<MessagePort*> ports;
    add_ports(shape, ports);
    return ports;
  }
};

using NamedPorts = std::map<std::string, MessagePort>;

template <>
struct PortsIn<NamedPorts> {
  static constexpr bool kMayHaveSome = true;
  static std::vector<MessagePort*> list(NamedPorts& named) {
    std::vector<MessagePort*> ports;
    for (auto& [name, port] : named) ports.push_back(&port);
    return ports;
  }
};

struct Node {
  std::string name;
  std::vector<std::shared_ptr<Node>> neighbours;
  std::unique_ptr<Node> child;
  std::weak_ptr<Node> parent;

  template <class Archive>
  void serialize(Archive& archive, unsigned) {
    archive& name& neighbours& child& parent;
  }
};

inline void untie(std::shared_ptr<Node>& start) {
  if (start == nullptr) return;
  std::vector<std::shared_ptr<Node>> found{start};
  std::vector<Node*> nodes{start.get()};
  while (!nodes.empty()) {
    Node* const node = nodes.back();
    nodes.pop_back();
    if (node->child != nullptr) nodes.push_back(node->child.get());
    for (std::shared_ptr<Node>& neighbour : std::exchange(node->neighbours, {})) {
      if (neighbour == nullptr) continue;
      nodes.push_back(neighbour.get());
      found.push_back(std::move(neighbour));
    }
  }
}

// What several pointers lead to, also as a base, and in cycles.
struct Vehicle {
  virtual ~Vehicle() = default;
  std::string owner;
  std::shared_ptr<Vehicle> tows;

  template <class Archive>
  void serialize(Archive& archive, unsigned) {
    archive& owner& tows;
  }
};

struct Cargo {
  virtual ~Cargo() = default;
  std::uint16_t tons = 0;

  template <class Archive>
  void serialize(Archive& archive, unsigned) {
    archive& tons;
  }
};

struct Cart final : Vehicle {
  std::uint8_t wheels = 4;

  template <class Archive>
  void serialize(Archive& archive, unsigned) {
    archive& static_cast<Vehicle&>(*this) & wheels;
  }
};

struct Barge final : Vehicle, Cargo {
  std::unique_ptr<Vehicle> boat;

  template <class Archive>
  void serialize(Archive& archive, unsigned) {
    archive& static_cast<Vehicle&>(*this) & static_cast<Cargo&>(*this) & boat;
  }
};

// Carts are listed at their base, barges are registered here.
struct Fleet {
  std::vector<std::shared_ptr<Vehicle>> vehicles;
  std::vector<std::weak_ptr<Cargo>> cargos;
  std::unique_ptr<Vehicle> first;

  template <class Archive>
  void serialize(Archive& archive, unsigned) {
    archive.template register_type<Barge>();
    archive& vehicles& cargos& first;
  }
};

inline void untie(Fleet& fleet) {
  std::vector<std::shared_ptr<Vehicle>> found = std::move(fleet.vehicles);
  for (const std::weak_ptr<Cargo>& cargo : fleet.cargos)
    if (auto barge = std::dynamic_pointer_cast<Barge>(cargo.lock())) found.push_back(std::move(barge));
  std::vector<Vehicle*> vehicles{fleet.first.get()};
  for (const auto& vehicle : found) vehicles.push_back(vehicle.get());
  while (!vehicles.empty()) {
    Vehicle* const vehicle = vehicles.back();
    vehicles.pop_back();
    if (vehicle == nullptr) continue;
    if (auto* const barge = dynamic_cast<Barge*>(vehicle)) vehicles.push_back(barge->boat.get());
    if (vehicle->tows == nullptr) continue;
    vehicles.push_back(vehicle->tows.get());
    found.push_back(std::move(vehicle->tows));
  }
}

// Everything that moves with a message but ports.
struct Parcel {
  SharedBuffer buffer;
  std::vector<FileDescriptor> files;
  std::map<std::uint8_t, BufferView> views;
  std::optional<SharedBuffer> more;

  template <class Archive>
  void serialize(Archive& archive, unsigned) {
    archive& buffer& files& views& more;
  }
};

struct Pixel {
  std::uint8_t red = 0, green = 0, blue = 0;
};

struct Picture {
  std::uint32_t width = 0;
  std::vector<Pixel> pixels;

  template <class Archive>
  void serialize(Archive& archive, unsigned) {
    archive& width& pixels;
  }
};

// Its codec writes it as two lines.
struct Note {
  std::string title;
  std::string text;
};

}  // namespace portolan::fuzz

BOOST_CLASS_VERSION(portolan::fuzz::Shape, 2)
template <>
inline constexpr bool portolan::is_plain<portolan::fuzz::Pixel> = true;

template <>
struct portolan::derived_of<portolan::fuzz::Vehicle> : portolan::types<portolan::fuzz::Cart> {};

template <>
struct portolan::codec<portolan::fuzz::Note> {
  static void write(const fuzz::Note& note, Sink& sink) {
    sink.write(note.title.data(), note.title.size());
    sink.write("\n", 1);
    sink.write(note.text.data(), note.text.size());
  }
  static fuzz::Note read(Source& source) {
    const std::size_t bytes = source.left();
    const std::string_view lines(reinterpret_cast<const char*>(source.take(bytes)), bytes);
    const std::size_t end = lines.find('\n');
    if (end == std::string_view::npos) throw std::runtime_error("no second line");
    return {std::string(lines.substr(0, end)), std::string(lines.substr(end + 1))};
  }
};

namespace portolan::fuzz {

using Notes = std::vector<std::pair<Note, int>>;
using SharedNode = std::shared_ptr<Node>;
// In this order for ever, and new ones at the end: kept inputs name them by number.
using UserTypes = TypeList<Shape, NamedPorts, SharedNode, Picture, Note, Notes, Pixel, Fleet, Parcel>;

inline std::vector<Input> user_seeds(bool trusted) {
  Shape shape;
  shape.label = "whole";
  shape.parts.resize(2);
  shape.parts[0].label = "part";
  shape.port = MessagePort(1);
  shape.parts[0].port = MessagePort(2);
  shape.parts[1].port = MessagePort(3);
  NamedPorts ports;
  ports["one"] = MessagePort(1);
  ports["two"] = MessagePort(2);
  auto node = std::make_shared<Node>();
  node->name = "start";
  node->neighbours = {node, nullptr, std::make_shared<Node>()};
  node->neighbours[2]->parent = node;
  node->child = std::make_unique<Node>();
  Fleet fleet;
  const auto barge = std::make_shared<Barge>();
  barge->tows = barge;
  barge->boat = std::make_unique<Cart>();
  fleet.vehicles = {barge, std::make_shared<Cart>(), std::make_shared<Vehicle>()};
  fleet.vehicles[1]->tows = fleet.vehicles[2];
  fleet.cargos = {barge};
  fleet.first = std::make_unique<Barge>();
  Fleet same{fleet.vehicles, fleet.cargos, nullptr};
  Parcel parcel{SharedBuffer(1), {}, {{std::uint8_t{1}, BufferView(2)}}, SharedBuffer(2)};
  parcel.files.emplace_back(kFirstDescriptor);
  std::vector<Input> inputs = UserTypes::seeds(
      std::move(shape), std::move(ports), node, {2, {{1, 2, 3}, {4, 5, 6}}}, {"title", "text"},
      {{{"a", "b"}, 5}, {{"", ""}, 6}}, {1, 2, 3}, std::move(fleet), std::move(parcel), trusted);
  untie(node);
  untie(same);
  return inputs;
}

}  // namespace portolan::fuzz
