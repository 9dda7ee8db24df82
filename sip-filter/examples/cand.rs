use sip_filter::config::signatures::Signatures;
use sip_filter_common::{classify::{Destination, Work, classify}, payload::SlicePayload};
fn main(){
  let s=Signatures::built_in().unwrap(); let (t,_)=s.table(&[]).unwrap();
  let data=std::fs::read(std::env::args().nth(1).unwrap()).unwrap();
  let mut w=Box::new(Work::EMPTY);
  let c=classify(&SlicePayload(&data),&Destination::NONE,&t,&mut w);
  println!("{c:?} kept {:?} cand {:?} chains {:?}", w.kept, w.candidates, &w.chains);
}
