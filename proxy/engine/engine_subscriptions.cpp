// Subscriptions, shared upstream: what clients say of channels goes to the hub, what the hub wants goes to
// one link, and what that link says goes to the sessions.
//
// The link speaks RESP3 when the server does: there every message and confirmation is a push, so that an
// error or a reply can never be taken for one, whatever publishers write. With an older server the same
// frames come as arrays. Both have the same bytes but for the first one.
#include <cstring>

#include "proxy/engine/check.hpp"
#include "proxy/engine/engine.hpp"
#include "proxy/engine/pubsub_frame.hpp"
#include "resp/server_error.hpp"
#include "resp/writer.hpp"

namespace fairlead::engine {

using health::TimePoint;
using resp::CommandId;
using resp::ScanStatus;

namespace {

/// What stands before the name in a message: its header, its kind, the length of the name.
constexpr std::uint64_t frame_head_bytes_max = 64;

constexpr std::size_t at(resp::Version version) {
  return version == resp::Version::resp3 ? 1 : 0;
}

/// One message as each protocol writes it: the form that did not come from the server is made once, when the
/// first client needs it.
class MessageForms {
 public:
  MessageForms(BufferPool& pool, const Bytes& received)
      : pool_(pool), received_(received.view().front() == '>' ? 1 : 0) {
    forms_[received_] = received;
  }

  const Bytes& of(resp::Version version) {
    Bytes& form = forms_[at(version)];
    if (!form.chunk) {
      const std::string_view other = forms_[received_].view();
      form.chunk = ChunkRef(pool_.chunks.take(other.size()));
      form.size = static_cast<std::uint32_t>(other.size());
      std::memcpy(form.chunk->data(), other.data(), other.size());
      form.chunk->data()[0] = version == resp::Version::resp3 ? '>' : '*';
      form.chunk->used = form.size;
    }
    return form;
  }

 private:
  BufferPool& pool_;
  std::size_t received_;
  Bytes forms_[2];
};

Bytes copy_of(BufferPool& pool, std::string_view bytes) {
  ChunkRef chunk(pool.chunks.take(bytes.size()));
  std::memcpy(chunk->data(), bytes.data(), bytes.size());
  chunk->used = static_cast<std::uint32_t>(bytes.size());
  return {chunk, 0, chunk->used};
}

}  // namespace

// --- From a client

/// Waits until nothing else of the session is in flight, so that a command and a subscription on two links
/// cannot overtake each other: who publishes and then subscribes must not get its own message.
Engine::Handled Engine::handle_subscription(Session& session, const resp::CommandSpec& spec,
                                            const resp::CommandResult& read, TimePoint now) {
  const bool behind_another = session.subscriber != nullptr && !session.subscriber->pending.empty();
  if (session.in_flight > 0 && !behind_another) {
    set_wait(session, Wait::drain);
    return Handled::wait;
  }
  text_.clear();
  if (is_unsubscribe(spec.id)) {
    hub_of(session).names.unsubscribe(session.subscriber, channel_kind(spec.id), read.command,
                                      session.mode.version, text_);
    ++stats_.commands_local;
    session.answer(buffers_, slab_, text_);  // a push, which CLIENT REPLY OFF does not silence
    mark_dirty(session);
    check_output(session);
    if (session.ending != Ending::now) leave_hub_if_idle(session);
    return Handled::consumed;
  }
  Handled handled = Handled::consumed;
  if (!may_dispatch(session, now, &handled)) return handled;
  if (read.frame_bytes > options_.limits.output_buffer_bytes_max) {
    // Its confirmations repeat all the names.
    ++stats_.output_buffer_closed;
    close_session(session);
    return Handled::consumed;
  }
  UserHub& hub = hub_of(session);
  if (hub.link != nullptr &&
      hub.link->backlog() + hub.names.orders().size() > options_.limits.link_backlog_bytes_max) {
    ++stats_.backlog_pauses;
    set_wait(session, Wait::backlog);
    return Handled::wait;
  }
  Request* request = slab_.take();
  request->session = &session;
  request->kind = RequestKind::subscribe;
  request->id = spec.id;
  resp::append_command(text_, read.command);
  request->frame = copy_of(buffers_, text_);
  session.slots.push_back(request);
  ++stats_.commands_shared;
  submit(session, request, read.command);
  complete_subscriptions(hub);
  return Handled::consumed;
}

void Engine::submit(Session& session, Request* request, const resp::CommandView& command) {
  UserHub& hub = hub_of(session);
  if (session.subscriber == nullptr) {
    session.subscriber = hub.names.add(&session);
    session.subscriber->home = &hub;
  }
  request->state = RequestState::in_hub;
  ++session.in_flight;
  session.link_in_use = {};  // none of those that commands go to
  hub.names.subscribe(*session.subscriber, channel_kind(request->id), command, request);
  mark_dirty(hub);
}

/// A SUBSCRIBE whose link was lost before the server confirmed it.
void Engine::submit_again(Session& session, Request* request) {
  --session.held;
  ++stats_.redispatched;
  resp::CommandReader reader(options_.limits.command);
  const resp::CommandResult read =
      reader.read(request->frame.view(), command_scratch_, resp::LoginState::authenticated);
  FAIRLEAD_CHECK(read.status == resp::ReadStatus::command);
  submit(session, request, read.command);
}

void Engine::complete_subscriptions(UserHub& hub) {
  while (Subscriber* subscriber = hub.names.first_ready()) {
    Session& session = *subscriber->session;
    const PendingSubscribe& command = subscriber->pending.front();
    Request* request = command.request;
    if (!command.refusal.empty()) {
      ++stats_.error_replies;
      request->silent = session.mode.silent();  // an error is; a confirmation is a push and never is
    }
    text_.clear();
    hub.names.finish(*subscriber, session.mode.version, text_);
    session.mode.in_hub = subscriber->subscribed();
    request->reply.append_copy(buffers_, text_);
    answered(session, request);
    if (session.ending != Ending::now) leave_hub_if_idle(session);
  }
}

// --- From the server

void Engine::on_hub_frame(BackendLink& link, const Bytes& part, ScanStatus status, TimePoint now) {
  const bool whole = status == ScanStatus::complete;
  UserHub& hub = *link.hub;
  if (hub.skips) {
    hub.skips = !whole;
    return;
  }
  if (whole && link.scanner.is_error() &&
      is_evidence(resp::parse_server_error(link.scanner.error_text()).kind)) {
    // It is no master now: nobody is refused, all ask again on the next one.
    ++stats_.links_lost;
    close_gate(link, health::SignalKind::refused_loading, link.scanner.error_text(), now);
    lose(link, now);
    return;
  }
  if (whole && link.assembly.empty()) {
    if (!judge_hub_frame(hub, part, link.scanner)) on_unexpected(link, now);
    return;
  }
  link.assembly.append(buffers_, part);
  if (!whole) {
    const bool overlong =
        link.assembly.size() > options_.limits.output_buffer_bytes_max + frame_head_bytes_max;
    if (overlong && !refuse_overlong(link)) on_unexpected(link, now);
    return;
  }
  const Bytes frame = link.assembly.whole(buffers_);
  link.assembly.clear(buffers_);
  if (!judge_hub_frame(hub, frame, link.scanner)) on_unexpected(link, now);
}

/// False when it is nothing that the server may say here.
bool Engine::judge_hub_frame(UserHub& hub, const Bytes& bytes, const resp::ReplyScanner& reply) {
  if (reply.is_error()) {
    std::vector<Session*> losers;
    mark_dirty(hub);
    if (!hub.names.on_error(reply.error_text(), losers)) return false;
    // They have been told that they are subscribed, and are not any more: they must hear of it.
    stats_.subscriptions_lost += losers.size();
    for (Session* session : losers) close_session(*session);
    complete_subscriptions(hub);
    return true;
  }
  const auto frame = read_pubsub_frame(bytes.view());
  if (!frame) return false;
  if (frame->kind == FrameKind::message) {
    HubChannel* channel = hub.names.find(frame->channel_kind, frame->name);
    if (channel != nullptr && !channel->subscribers.empty()) {
      fan_out(*channel, bytes);
    } else {
      ++stats_.pushes_dropped;  // the last subscriber has just left
    }
    return true;
  }
  const auto order = frame->kind == FrameKind::subscribed ? HubOrder::subscribe : HubOrder::unsubscribe;
  mark_dirty(hub);
  if (hub.names.on_confirmed(order, frame->channel_kind, frame->name)) {
    complete_subscriptions(hub);
    return true;
  }
  if (order != HubOrder::unsubscribe || frame->channel_kind != ChannelKind::shard) return false;
  // Unasked for: the slot of a shard channel has moved to another server.
  if (HubChannel* channel = hub.names.on_moved(frame->name)) pass_moved(hub, *channel);
  return true;
}

/// A message that is longer than what any client may leave unread: whoever should get it is closed, as Redis
/// does, and the rest of it is not even kept.
bool Engine::refuse_overlong(BackendLink& link) {
  const Bytes begin = link.assembly.whole(buffers_);
  link.assembly.clear(buffers_);
  const auto frame = read_pubsub_frame(begin.view());
  if (!frame || frame->kind != FrameKind::message) return false;
  link.hub->skips = true;
  HubChannel* channel = link.hub->names.find(frame->channel_kind, frame->name);
  if (channel == nullptr) return true;
  while (!channel->subscribers.empty()) {
    ++stats_.output_buffer_closed;
    close_session(*channel->subscribers.front().subscriber->session);
  }
  return true;
}

void Engine::fan_out(HubChannel& channel, const Bytes& frame) {
  ++stats_.messages_in;
  MessageForms forms(buffers_, frame);
  for (auto it = channel.subscribers.begin(); it != channel.subscribers.end();) {
    // The next one first: this session may be closed at its output limit.
    Session& session = *(it++)->subscriber->session;
    ++stats_.messages_out;
    push(session, forms.of(session.mode.version));
  }
}

/// Every subscriber of a shard channel that is not here any more is told so, with its own count.
void Engine::pass_moved(UserHub& hub, HubChannel& channel) {
  const std::string_view name = channel.name;
  while (Subscriber* subscriber = hub.names.take_subscriber(channel)) {
    Session& session = *subscriber->session;
    text_.clear();
    append_confirmation(text_, HubOrder::unsubscribe, ChannelKind::shard, &name,
                        subscriber->count(ChannelKind::shard), session.mode.version);
    session.mode.in_hub = subscriber->subscribed();
    push(session, copy_of(buffers_, text_));
    if (session.ending != Ending::now) leave_hub_if_idle(session);
  }
  hub.names.settle(channel);
}

/// Between two replies, never inside of one.
void Engine::push(Session& session, const Bytes& frame) {
  if (session.ending != Ending::none) return;  // nothing comes behind the answer to QUIT
  session.queue_for_push().append(buffers_, frame);
  mark_dirty(session);
  check_output(session);
}

/// A raw session's bytes pass unread, but one that is subscribed needs to know where a push may go.
bool Engine::follow_raw(BackendLink& link, std::string_view bytes) {
  Session& session = *link.owner;
  while (!bytes.empty()) {
    const resp::ScanResult scan = link.scanner.scan(bytes);
    if (scan.status == ScanStatus::malformed) return false;
    bytes.remove_prefix(scan.consumed);
  }
  session.mid_reply = !link.scanner.at_boundary();
  if (!session.mid_reply) session.out.splice(buffers_, session.subscriber->parked);
  return true;
}

}  // namespace fairlead::engine
