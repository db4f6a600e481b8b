//! What cameras answer to a search, and of themselves.

use super::Seed;

pub fn run(data: &[u8]) {
    reelfs::onvif::parse_anything(data);
}

pub fn seeds() -> Vec<Seed> {
    let found = "<e:Envelope xmlns:e='http://www.w3.org/2003/05/soap-envelope'><e:Body>\
        <d:ProbeMatches xmlns:d='http://schemas.xmlsoap.org/ws/2005/04/discovery'><d:ProbeMatch>\
        <a:EndpointReference xmlns:a='http://schemas.xmlsoap.org/ws/2004/08/addressing'>\
        <a:Address>urn:uuid:4419d68a-1dd2-11b2-a105-1</a:Address></a:EndpointReference>\
        <d:Scopes>onvif://www.onvif.org/name/Front%20Door onvif://www.onvif.org/hardware/X-1\
        </d:Scopes><d:XAddrs>http://192.0.2.9/onvif/device_service http://[fe80::1]/a</d:XAddrs>\
        </d:ProbeMatch></d:ProbeMatches></e:Body></e:Envelope>";
    let profiles = "<t:GetProfilesResponse xmlns:t='http://www.onvif.org/ver20/media/wsdl'>\
        <t:Profiles token='a&amp;1'><t:Name>Main</t:Name><t:Configurations><t:VideoSource>\
        <SourceToken>s</SourceToken></t:VideoSource><t:VideoEncoder><Encoding>H265</Encoding>\
        <Resolution><Width>2560</Width><Height>1440</Height></Resolution></t:VideoEncoder>\
        </t:Configurations></t:Profiles><Profiles token='b'><VideoEncoderConfiguration>\
        <Encoding>H264</Encoding><Resolution><Width>640</Width><Height>360</Height></Resolution>\
        </VideoEncoderConfiguration></Profiles></t:GetProfilesResponse>";
    let services = "<r><Service><Namespace>http://www.onvif.org/ver10/media/wsdl</Namespace>\
        <XAddr>http://0.0.0.0:80/onvif/media?a=1&amp;b=&#50;</XAddr></Service><UTCDateTime><Time>\
        <Hour>23</Hour><Minute>59</Minute><Second>59</Second></Time><Date><Year>2026</Year>\
        <Month>2</Month><Day>28</Day></Date></UTCDateTime><SerialNumber><![CDATA[7]]>\
        </SerialNumber></r>";
    [("found", found), ("profiles", profiles), ("services", services)]
        .map(|(name, text)| (name, text.as_bytes().to_vec()))
        .to_vec()
}
