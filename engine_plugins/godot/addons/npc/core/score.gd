# The performance score of one spoken item on the played-sample clock: point cues, and the blendshape track between its frames.
extends Reference

const DECAY_SECONDS = 0.15

var _cues = []
var _blocks = []


func add_cue(cue):
	var place = _cues.size()
	while place > 0 and _cues[place - 1].at > cue.at:
		place -= 1
	_cues.insert(place, cue)


# Every cue with at <= played, in order; each is handed out once.
func due(played):
	var ready = []
	while not _cues.empty() and _cues[0].at <= played:
		ready.append(_cues.pop_front())
	return ready


# False when the block has another number of channels than the blocks before. Late, doubled and out-of-order blocks are sorted in.
func add_block(block):
	if not _blocks.empty() and _blocks[0].channels != block.channels:
		return false
	if block.count == 0:
		return true
	var place = _blocks.size()
	while place > 0 and _blocks[place - 1].start > block.start:
		place -= 1
	if place == 0 or _blocks[place - 1].start != block.start:
		_blocks.insert(place, block)
	return true


# Weights in [0, 1] at sample `played`; past the last frame known the pose decays to rest.
func sample(played, rate, channels):
	var pose = PoolRealArray()
	pose.resize(channels)
	for c in range(channels):
		pose[c] = 0.0
	var at = _blocks.size() - 1
	while at >= 0 and _blocks[at].start > played:
		at -= 1
	if at < 0:
		return pose
	var block = _blocks[at]
	var exact = (played - block.start) / float(block.samples_per_frame)
	var index = int(min(floor(exact), block.count - 1))
	var next = block
	var next_index = index + 1
	if next_index == block.count:
		next_index = 0
		var follows = at + 1 < _blocks.size() and _blocks[at + 1].start == block.end()
		next = _blocks[at + 1] if follows else null
	var mix = 0.0 if next == null else min(1.0, exact - index)
	var late = 0.0 if next != null else max(0.0, played - block.end()) / rate
	var keep = max(0.0, 1.0 - late / DECAY_SECONDS)
	for c in range(min(channels, block.channels)):
		var here = float(block.weights[index * block.channels + c])
		var there = here if next == null else float(next.weights[next_index * block.channels + c])
		pose[c] = (here + (there - here) * mix) / 255.0 * keep
	return pose
