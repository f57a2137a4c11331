# xorshift32 with a seed mixer: the same integers in every client and in the server. GDScript integers have 64 bits: mask to 32.
extends Reference

const MASK = 0xFFFFFFFF
var _state = 0


func _init(from_seed, stream = 0):
	_state = mix(from_seed & MASK, stream)


static func _times(a, b):
	# 32-bit product without passing 2^63.
	return ((a * (b & 0xFFFF)) + ((((a * (b >> 16)) & 0xFFFF) << 16))) & 0xFFFFFFFF


static func mix(from_seed, stream):
	var h = from_seed ^ _times(stream & 0xFFFFFFFF, 0x9E3779B1)
	h ^= h >> 16
	h = _times(h, 0x85EBCA6B)
	h ^= h >> 13
	h = _times(h, 0xC2B2AE35)
	h ^= h >> 16
	return h if h != 0 else 0x9E3779B9


func next():
	var x = _state
	x ^= (x << 13) & MASK
	x ^= x >> 17
	x ^= (x << 5) & MASK
	_state = x
	return x


# An integer in [0, n) for n up to 65536.
func below(n):
	return ((next() >> 16) * n) >> 16


func pick(table):
	return table[below(table.size())]
