#!/usr/bin/env ruby
# frozen_string_literal: true

# Ruby's Net::HTTP, given a Unix socket.
# cannot: http1.0

require "json"
require "net/http"
require "socket"
require "stringio"

# What the gems for this do.
class UnixHTTP < Net::HTTP
  def initialize(path, _port = nil)
    super("localhost")
    @path = path
    self.continue_timeout = 10
  end

  def connect
    @socket = Net::BufferedIO.new(
      UNIXSocket.new(@path), read_timeout: 30, continue_timeout: continue_timeout
    )
    on_connect
  end
end

def ask(http, given)
  kind = Net::HTTP.const_get(given["method"].capitalize)
  request = kind.new(given["target"], given["headers"])
  if given["chunked"]
    request["Transfer-Encoding"] = "chunked"
    request.body_stream = StringIO.new(given["body"])
  elsif given["body"]
    request.body = given["body"]
  end
  response = http.request(request)
  {
    status: response.code.to_i,
    headers: response.each_header.to_h,
    body: String.new(response.body || "", encoding: "UTF-8"),
  }
end

def alone(path, given)
  UnixHTTP.new(path).start { |http| ask(http, given) }
end

path = ARGV[0]
plan = JSON.parse($stdin.read)
answers =
  if plan["how"] == "kept"
    UnixHTTP.new(path).start { |http| plan["requests"].map { |given| ask(http, given) } }
  else
    plan["requests"].map { |given| Thread.new { alone(path, given) } }.map(&:value)
  end
puts JSON.generate(answers)
