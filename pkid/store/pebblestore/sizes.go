package pebblestore

// Sizes are how large the state is, in octets.
type Sizes struct {
	Disk   uint64 // files of the engine
	Log    uint64 // of these, its write-ahead log
	Memory uint64 // memtables and block cache
}

// Sizes tells how large the state is now.
func (s *Store) Sizes() (Sizes, bool) {
	if s.enter() != nil {
		return Sizes{}, false
	}
	defer s.users.Done()
	m := s.db.Metrics()
	return Sizes{Disk: m.DiskSpaceUsage(), Log: m.WAL.PhysicalSize, Memory: m.MemTable.Size + uint64(m.BlockCache.Size)}, true
}
