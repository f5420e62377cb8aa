#include "proxy/admin/routes.hpp"

#include <utility>

namespace fairlead::proxy {
namespace {

HttpReply text_reply(unsigned status, std::string body) {
  HttpReply reply;
  reply.status = status;
  reply.body = std::move(body);
  return reply;
}

HttpReply verdict(const std::string& reason) {
  return reason.empty() ? text_reply(200, "ok\n") : text_reply(503, reason + "\n");
}

bool is_probe(std::string_view path) {
  return path == "/healthz" || path == "/readyz" || path == "/metrics";
}

HttpReply answer(const HealthProvider& provider, std::string_view path) {
  if (path == "/healthz") return verdict(provider.fault());
  if (path == "/readyz") {
    const std::string fault = provider.fault();
    return verdict(fault.empty() ? provider.ready() : fault);
  }
  HttpReply reply = text_reply(200, provider.metrics());
  reply.content_type = "text/plain; version=0.0.4; charset=utf-8";
  return reply;
}

}  // namespace

std::vector<std::string> probe_paths() {
  return {"/healthz", "/readyz"};
}

HttpHandler make_routes(HealthProvider provider, HttpHandler pages) {
  return [provider = std::move(provider), pages = std::move(pages)](const HttpRequestView& request) {
    const std::string_view path = path_of(request.target);
    if (!is_probe(path) && pages) return pages(request);
    if (request.method != "GET" && request.method != "HEAD") {
      HttpReply reply = text_reply(405, "only GET and HEAD are allowed here\n");
      reply.headers.emplace_back("Allow", "GET, HEAD");
      return reply;
    }
    if (!is_probe(path)) return text_reply(404, "not found; here are /healthz, /readyz and /metrics\n");
    return answer(provider, path);
  };
}

}  // namespace fairlead::proxy
