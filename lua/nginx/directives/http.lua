--- Directives of http and below that belong to no topic of their own: access logs, what is without effect here.
local everywhere = "http server location"

local function noop(args, where)
  return { where = where or everywhere, args = args, noop = true }
end

return {
  directives = {
    sendfile = noop(1, "http server location if"), tcp_nopush = noop(1), tcp_nodelay = noop(1), aio = noop(1), aio_write = noop(1),
    directio = noop(1), directio_alignment = noop(1), sendfile_max_chunk = noop(1), read_ahead = noop(1), output_buffers = noop(2),
    postpone_output = noop(1), open_file_cache = noop({ 1, 2 }), open_file_cache_valid = noop(1), open_file_cache_min_uses = noop(1),
    open_file_cache_errors = noop(1),
    types_hash_max_size = noop(1), types_hash_bucket_size = noop(1), server_names_hash_max_size = noop(1, "http"),
    server_names_hash_bucket_size = noop(1, "http"), variables_hash_max_size = noop(1, "http"),
    variables_hash_bucket_size = noop(1, "http"),
    connection_pool_size = noop(1, "http server"), request_pool_size = noop(1, "http server"),
    send_lowat = noop(1),
  },
}
