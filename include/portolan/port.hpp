// SPDX-License-Identifier: Apache-2.0

// Channels, ports, bytes, text, events, loops, workers and names: everything that needs no Boost.
#pragma once

#include <portolan/buffer_view.hpp>
#include <portolan/callback.hpp>
#include <portolan/close_event.hpp>
#include <portolan/codec.hpp>
#include <portolan/connect.hpp>
#include <portolan/custody.hpp>
#include <portolan/drained.hpp>
#include <portolan/encoding.hpp>
#include <portolan/error.hpp>
#include <portolan/event.hpp>
#include <portolan/event_loop.hpp>
#include <portolan/event_target.hpp>
#include <portolan/exit_status.hpp>
#include <portolan/file_descriptor.hpp>
#include <portolan/gather.hpp>
#include <portolan/handover.hpp>
#include <portolan/inheritance.hpp>
#include <portolan/listener.hpp>
#include <portolan/log.hpp>
#include <portolan/merge.hpp>
#include <portolan/message_channel.hpp>
#include <portolan/message_event.hpp>
#include <portolan/message_port.hpp>
#include <portolan/name_list.hpp>
#include <portolan/name_watch.hpp>
#include <portolan/on_request.hpp>
#include <portolan/one_shot.hpp>
#include <portolan/port_handle.hpp>
#include <portolan/post_result.hpp>
#include <portolan/publisher.hpp>
#include <portolan/received.hpp>
#include <portolan/reply.hpp>
#include <portolan/shared_buffer.hpp>
#include <portolan/space.hpp>
#include <portolan/split.hpp>
#include <portolan/transfer_list.hpp>
#include <portolan/trust.hpp>
#include <portolan/value.hpp>
#include <portolan/wait_any.hpp>
#include <portolan/worker.hpp>
#include <portolan/worker_pool.hpp>
